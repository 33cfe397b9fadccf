/**
 * Writes `text` in UTF-8 at `start`, where there is room: three bytes a UTF-16 unit. Most text is short and ASCII, and a call into C++ costs more
 * than a loop. @returns the bytes written
 */
export function writeUtf8(target: Buffer, start: number, text: string): number {
  const { length } = text;
  for (let i = 0; i < length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return target.write(text, start, 'utf8');
    target[start + i] = unit;
  }
  return length;
}
