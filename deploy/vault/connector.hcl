# sluice connector: seals bodies on their way into Kafka.
# The vault is the one it was set up to be: its public key is there. Nothing of it is read.
path "sluice/metadata/recoverer/public" {
  capabilities = ["read"]
}

path "sluice/data/transit/*" {
  capabilities = ["read"]
}
