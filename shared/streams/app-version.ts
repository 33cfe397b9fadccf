/** Digits at most: of the major part, and of the others. */
const [majorDigits, otherDigits] = [4, 3];
const largestMajor = 2146;
const [zero, nine, dot] = [48, 57, 46];

/**
 * An application version as one ordered integer without collisions: major·10⁶ + minor·10³ + patch.
 * `"2.3.0"` → 2003000, `"0.96"` → 96000, `"6.02"` → 6002000, `"2146.999.999"` → 2146999999 (the largest that fits an `integer`).
 * Two or three decimal parts, nothing else: `"1e3"`, `"2.3.0-beta"` and `"-1.0"` are undefined.
 */
export function appVersionNumber(text: string): number | undefined {
  let number = 0;
  let value = 0;
  let part = 0;
  let length = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit === dot && length > 0 && part < 2) {
      number = 1_000 * number + value;
      part += 1;
      value = 0;
      length = 0;
    } else if (unit >= zero && unit <= nine && length < (part === 0 ? majorDigits : otherDigits)) {
      value = 10 * value + unit - zero;
      length += 1;
    } else {
      return undefined;
    }
  }
  if (part === 0 || length === 0) return undefined;
  number = 1_000 * number + value;
  if (part === 1) number *= 1_000;
  return number < 1_000_000 * (largestMajor + 1) ? number : undefined;
}
