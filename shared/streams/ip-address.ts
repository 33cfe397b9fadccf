import ipaddr from 'ipaddr.js';

const ipv4 = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;
const ipv6Characters = /^[0-9a-fA-F:.]{2,45}$/;

/**
 * The one spelling of an IP address, or undefined when the text is none: equal addresses must get equal tokens.
 *
 * IPv4 as four decimal parts, a leading zero refused (`010.1.1.1` means 8.1.1.1 to some and 10.1.1.1 to others).
 * IPv6 as RFC 5952 writes it; an IPv4-mapped address (`::ffff:1.2.3.4`) becomes the IPv4 address. No zone, no prefix
 * length. Not only public unicast: 127.x and 224.0.0.0 and above occur in real data.
 */
export function canonicalIp(text: string): string | undefined {
  const parts = ipv4.exec(text);
  if (parts !== null) {
    for (let i = 1; i <= 4; i++) if (Number(parts[i]) > 255) return undefined;
    return text;
  }
  if (!text.includes(':') || !ipv6Characters.test(text)) return undefined;
  const embedded = text.slice(text.lastIndexOf(':') + 1);
  if (embedded.includes('.') && canonicalIp(embedded) === undefined) return undefined;
  if (!ipaddr.IPv6.isValid(text)) return undefined;
  const address = ipaddr.IPv6.parse(text);
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toRFC5952String();
}
