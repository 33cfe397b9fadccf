/** What a policy can grant on a path. */
export type Capability = 'create' | 'read' | 'update' | 'patch' | 'delete' | 'list' | 'sudo' | 'deny';

const capabilities: ReadonlySet<string> = new Set([
  'create',
  'read',
  'update',
  'patch',
  'delete',
  'list',
  'sudo',
  'deny',
]);

/** Path, with a `*` at its end for all that begin so → capabilities. */
export type Policy = ReadonlyMap<string, ReadonlySet<Capability>>;

/**
 * Parses what our policies are made of: comments and `path "…" { capabilities = ["…"] }`. Anything else is an error, as are a capability Vault
 * does not have and a `*` that is not last: a typing mistake in a policy must not pass for a right that is not given.
 */
export function parsePolicy(hcl: string): Policy {
  // Strings before comments: a path ends in what begins one.
  const tokens = (hcl.match(/"[^"\n]*"|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\/|[A-Za-z_]+|[^\s]/g) ?? []).filter(
    (token) => !/^(#|\/\/|\/\*)/.test(token),
  );
  let at = 0;
  const next = (expected?: RegExp): string => {
    const token = tokens[at++] ?? 'its end';
    if (expected !== undefined && !expected.test(token)) throw new Error(`policy: unexpected ${token}`);
    return token;
  };
  const policy = new Map<string, ReadonlySet<Capability>>();
  while (at < tokens.length) {
    next(/^path$/);
    const path = next(/^"[^"]+"$/).slice(1, -1);
    if (/\*./.test(path) || path.includes('+'))
      throw new Error(`policy: this server has no such glob: ${path}`);
    next(/^{$/);
    next(/^capabilities$/);
    next(/^=$/);
    next(/^\[$/);
    const granted = new Set<Capability>(policy.get(path));
    for (let token = next(); token !== ']'; token = next()) {
      if (token === ',') continue;
      const name = token.slice(1, -1);
      if (!isCapability(name)) throw new Error(`policy: no such capability: ${token}`);
      granted.add(name);
    }
    next(/^}$/);
    policy.set(path, granted);
  }
  return policy;
}

function isCapability(name: string): name is Capability {
  return capabilities.has(name);
}

/**
 * The rule that decides about a path: the exact one, otherwise the longest that ends in `*`; a list, whose path ends in `/`, is also
 * decided by a rule without it. Equal paths of several policies add up; `deny` beats all.
 */
export function allows(policies: readonly Policy[], capability: Capability, path: string): boolean {
  const rules = new Map<string, Set<Capability>>();
  for (const policy of policies) {
    for (const [rule, granted] of policy) {
      rules.set(rule, new Set([...(rules.get(rule) ?? []), ...granted]));
    }
  }
  const bare = path.replace(/\/$/, '');
  const lists = capability === 'list';
  const granted =
    rules.get(path) ??
    (lists ? rules.get(bare) : undefined) ??
    longestPrefix(rules, path) ??
    (lists ? longestPrefix(rules, bare) : undefined);
  return granted !== undefined && !granted.has('deny') && granted.has(capability);
}

function longestPrefix(
  rules: ReadonlyMap<string, ReadonlySet<Capability>>,
  path: string,
): ReadonlySet<Capability> | undefined {
  const matching = [...rules.keys()].filter(
    (rule) => rule.endsWith('*') && path.startsWith(rule.slice(0, -1)),
  );
  const [longest] = matching.toSorted((a, b) => b.length - a.length);
  return longest === undefined ? undefined : rules.get(longest);
}
