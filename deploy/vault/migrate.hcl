# sluice migrate: puts the recoverer's public key there, once.
# The vault is the one it was set up to be: its public key is there. Nothing of it is read.
path "sluice/metadata/recoverer/public" {
  capabilities = ["read"]
}

path "sluice/data/recoverer/public" {
  capabilities = ["create", "read"]
}
