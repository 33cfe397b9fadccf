# sluice shred: destroys what it cannot read.
# The vault is the one it was set up to be: its public key is there. Nothing of it is read.
path "sluice/metadata/recoverer/public" {
  capabilities = ["read"]
}

path "sluice/metadata/day/*" {
  capabilities = ["list", "read", "delete"]
}
path "sluice/destroy/day/*" {
  capabilities = ["update"]
}
path "sluice/metadata/archive/*" {
  capabilities = ["list", "read", "delete"]
}
path "sluice/destroy/archive/*" {
  capabilities = ["update"]
}
path "sluice/metadata/transit/*" {
  capabilities = ["list", "read", "delete"]
}
path "sluice/destroy/transit/*" {
  capabilities = ["update"]
}
path "sluice/metadata/pepper/*" {
  capabilities = ["list", "read", "delete"]
}
path "sluice/destroy/pepper/*" {
  capabilities = ["update"]
}
