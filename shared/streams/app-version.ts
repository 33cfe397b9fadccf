/** Digits at most: of major, minor and patch. */
const digits = [4, 3, 3] as const;
const [zero, nine, dot] = [48, 57, 46];

/**
 * An application version as one ordered integer without collisions: major·10⁶ + minor·10³ + patch.
 * `"2.3.0"` → 2003000, `"0.96"` → 96000, `"6.02"` → 6002000, `"2146.999.999"` → 2146999999 (the largest that fits an `integer`).
 * Two or three decimal parts, nothing else: `"1e3"`, `"2.3.0-beta"` and `"-1.0"` are undefined.
 */
export function appVersionNumber(text: string): number | undefined {
  const parts = [0, 0, 0];
  let part = 0;
  let length = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit === dot && length > 0 && part < 2) {
      part += 1;
      length = 0;
    } else if (unit >= zero && unit <= nine && length < (digits[part] ?? 0)) {
      parts[part] = 10 * (parts[part] ?? 0) + unit - zero;
      length += 1;
    } else {
      return undefined;
    }
  }
  const [major = 0, minor = 0, patch = 0] = parts;
  if (part === 0 || length === 0 || major > 2146) return undefined;
  return major * 1_000_000 + minor * 1_000 + patch;
}
