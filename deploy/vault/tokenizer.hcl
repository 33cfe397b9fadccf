# sluice tokens retoken: goes through the recovery door, so it also needs the recovery key.
# The vault is the one it was set up to be: its public key is there. Nothing of it is read.
path "sluice/metadata/recoverer/public" {
  capabilities = ["read"]
}

path "sluice/data/recoverer/public" {
  capabilities = ["read"]
}
path "sluice/data/day/*" {
  capabilities = ["read"]
}
path "sluice/data/archive/*" {
  capabilities = ["read"]
}
path "sluice/data/pepper/*" {
  capabilities = ["read"]
}
