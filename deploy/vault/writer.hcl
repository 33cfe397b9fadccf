# sluice writer: opens bodies from Kafka, makes tokens. No private key of a day, not even sealed.
# The vault is the one it was set up to be: its public key is there. Nothing of it is read.
path "sluice/metadata/recoverer/public" {
  capabilities = ["read"]
}

path "sluice/data/transit/*" {
  capabilities = ["read"]
}
path "sluice/data/pepper/*" {
  capabilities = ["read"]
}
