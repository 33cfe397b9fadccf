# sluice recover, sluice peek: reads the sealed private keys, which only the recovery key opens, and transit keys.
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
path "sluice/data/transit/*" {
  capabilities = ["read"]
}
