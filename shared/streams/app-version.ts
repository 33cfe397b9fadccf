const pattern = /^(\d{1,4})\.(\d{1,3})(?:\.(\d{1,3}))?$/;

/**
 * An application version as one ordered integer without collisions: major·10⁶ + minor·10³ + patch.
 * `"2.3.0"` → 2003000, `"0.96"` → 96000, `"6.02"` → 6002000, `"2146.999.999"` → 2146999999 (the largest that fits an `integer`).
 * Two or three decimal parts, nothing else: `"1e3"`, `"2.3.0-beta"` and `"-1.0"` are undefined.
 */
export function appVersionNumber(text: string): number | undefined {
  const parts = pattern.exec(text);
  if (parts === null) return undefined;
  const major = Number(parts[1]);
  if (major > 2146) return undefined;
  return major * 1_000_000 + Number(parts[2]) * 1_000 + Number(parts[3] ?? 0);
}
