import ipaddr from 'ipaddr.js';

const ipv6Characters = /^[0-9a-fA-F:.]{2,45}$/;

/**
 * The one spelling of an IP address, or undefined when the text is none: equal addresses must get equal tokens.
 *
 * IPv4 as four decimal parts, a leading zero refused (`010.1.1.1` means 8.1.1.1 to some and 10.1.1.1 to others).
 * IPv6 as RFC 5952 writes it; an IPv4-mapped address (`::ffff:1.2.3.4`) becomes the IPv4 address. No zone, no prefix
 * length. Not only public unicast: 127.x and 224.0.0.0 and above occur in real data.
 */
export function canonicalIp(text: string): string | undefined {
  if (isIpv4(text)) return text;
  if (!text.includes(':') || !ipv6Characters.test(text)) return undefined;
  const embedded = text.slice(text.lastIndexOf(':') + 1);
  if (embedded.includes('.') && canonicalIp(embedded) === undefined) return undefined;
  if (!ipaddr.IPv6.isValid(text)) return undefined;
  const address = ipaddr.IPv6.parse(text);
  return address.isIPv4MappedAddress() ? address.toIPv4Address().toString() : address.toRFC5952String();
}

const [zero, nine, dot] = [48, 57, 46];

/** Four decimal parts up to 255, none with a leading zero. */
function isIpv4(text: string): boolean {
  let parts = 1;
  let value = 0;
  let length = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit === dot && length > 0) {
      parts += 1;
      value = 0;
      length = 0;
    } else if (unit >= zero && unit <= nine && !(length > 0 && value === 0)) {
      value = 10 * value + unit - zero;
      length += 1;
      if (value > 255) return false;
    } else {
      return false;
    }
  }
  return parts === 4 && length > 0;
}
