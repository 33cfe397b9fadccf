# sluice archive, sluice restore: moves the private keys of a day, which lie sealed to the recoverer: it reads what it cannot open. To
# move is to destroy at the old place, so whoever holds this can destroy every day's key.
# The vault is the one it was set up to be: its public key is there. Nothing of it is read.
path "sluice/metadata/recoverer/public" {
  capabilities = ["read"]
}

path "sluice/data/day/*" {
  capabilities = ["create", "read"]
}
path "sluice/data/archive/*" {
  capabilities = ["create", "read"]
}
path "sluice/metadata/day/*" {
  capabilities = ["list", "read", "delete"]
}
path "sluice/metadata/archive/*" {
  capabilities = ["list", "read", "delete"]
}
path "sluice/destroy/day/*" {
  capabilities = ["update"]
}
path "sluice/destroy/archive/*" {
  capabilities = ["update"]
}
