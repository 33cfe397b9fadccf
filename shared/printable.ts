/**
 * What others wrote, safe to show: control characters, which a terminal would obey, and what reorders or hides text (bidirectional and
 * zero-width marks, line separators, halves of surrogate pairs) become `\u001b` and its like; a backslash stays as it is.
 */
export function printable(text: string): string {
  return text.toWellFormed().replace(unsafe, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** JSON of one line, just as safe to show: the same characters are escaped as JSON has it, so that every reader gets them back. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(unsafe, (character) =>
    Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
      .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** Control (Cc), format (Cf), line and paragraph separators (Zl, Zp), as Unicode classes them. */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
