# sluice maintain, sluice tokens rotate: makes keys and cannot read them back. "create" without "update": what is there is never
# replaced.
# The vault is the one it was set up to be: its public key is there. Nothing of it is read.
path "sluice/metadata/recoverer/public" {
  capabilities = ["read"]
}

path "sluice/data/recoverer/public" {
  capabilities = ["read"]
}
path "sluice/data/day/*" {
  capabilities = ["create"]
}
path "sluice/data/transit/*" {
  capabilities = ["create"]
}
path "sluice/data/pepper/*" {
  capabilities = ["create"]
}

# Is it there already?
path "sluice/metadata/day/*" {
  capabilities = ["read"]
}
path "sluice/metadata/pepper/*" {
  capabilities = ["read"]
}

# A transit key is destroyed once the topics keep nothing of its day.
path "sluice/metadata/transit/*" {
  capabilities = ["list", "read", "delete"]
}
path "sluice/destroy/transit/*" {
  capabilities = ["update"]
}
