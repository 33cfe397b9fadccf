# Which keys there are, by name.
# The vault is the one it was set up to be: its public key is there. Nothing of it is read.
path "sluice/metadata/recoverer/public" {
  capabilities = ["read"]
}

path "sluice/metadata/day/*" {
  capabilities = ["list"]
}
path "sluice/metadata/archive/*" {
  capabilities = ["list"]
}
path "sluice/metadata/transit/*" {
  capabilities = ["list"]
}
path "sluice/metadata/pepper/*" {
  capabilities = ["list"]
}
