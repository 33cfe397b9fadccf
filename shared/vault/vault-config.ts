import { z } from 'zod';

/** Which vault, and the credential of the role that this process plays in it. */
export const vaultSlice = {
  VAULT_URL: z
    .string()
    .regex(
      /^(file:.|vault\+https?:\/\/[^/?#@\s]+\/[^?#\s]+$|aws-sm:\/\/[a-z0-9-]+\/[\w+=.@-]+(\/[\w+=.@-]+)*$)/,
      'must be file:DIRECTORY, vault+https://HOST:PORT/MOUNT/PREFIX or aws-sm://REGION/PREFIX',
    ),
  /** HashiCorp Vault and OpenBao: exactly one of a token, an AppRole and a Kubernetes role. Other vaults read none of these. */
  VAULT_TOKEN: z.string().optional(),
  VAULT_TOKEN_FILE: z.string().optional(),
  VAULT_ROLE_ID: z.string().optional(),
  VAULT_SECRET_ID: z.string().optional(),
  VAULT_SECRET_ID_FILE: z.string().optional(),
  VAULT_KUBERNETES_ROLE: z.string().optional(),
  VAULT_KUBERNETES_TOKEN_FILE: z.string().optional(),
  /** Where the auth method is mounted, when not at its own name. */
  VAULT_AUTH_MOUNT: z.string().optional(),
  VAULT_NAMESPACE: z.string().optional(),
  /** PEM of the authority that signed the vault's certificate, instead of the system's. */
  VAULT_CACERT: z.string().optional(),
  /** AWS Secrets Manager, whose credentials are as the SDK finds them. */
  AWS_ENDPOINT_URL_SECRETS_MANAGER: z.url('must be a URL').optional(),
};

export type VaultConfig = z.output<z.ZodObject<typeof vaultSlice>>;
