/**
 * Entity capabilities (XEP-0115): what stands behind a verification string. An answer is believed
 * of others only if the string is its hash; otherwise anybody could say what their clients are.
 */
import { NS } from '../ns.ts';
import { type XElement, x } from '../xml.ts';

/** What a presence says of its client; '' for what it leaves out. */
export interface Caps {
  node: string;
  ver: string;
  hash: string;
}

export function parseCaps(c: XElement | undefined): Caps | null {
  if (!c?.attr('node') || !c.attr('ver')) return null;
  return { node: c.attr('node'), ver: c.attr('ver'), hash: c.attr('hash') };
}

export function capsElement({ node, ver, hash }: Caps): XElement {
  return x('c', { xmlns: NS.caps, hash, node, ver });
}

/** XEP-0115 §5.1: names as in the registry of hash functions, and what browsers call them. */
const HASHES: Record<string, string> = { 'sha-1': 'SHA-1', 'sha-256': 'SHA-256', 'sha-512': 'SHA-512' };

/** What an answer can be kept under for everybody; '' if it can't: no hash (XEP-0115 §5.4, legacy), or one not known. */
export function capsKey({ hash, ver }: Caps): string {
  return Object.hasOwn(HASHES, hash) ? `${hash} ${ver}` : '';
}

/** Is this disco#info what the verification string was made of (XEP-0115 §5.4)? */
export async function vouches(caps: Caps, query: XElement): Promise<boolean> {
  const s = capsString(query);
  return s !== null && Object.hasOwn(HASHES, caps.hash) && (await digest(caps.hash, s)) === caps.ver;
}

export async function digest(hash: string, s: string): Promise<string> {
  const bytes = await crypto.subtle.digest(HASHES[hash]!, new TextEncoder().encode(s));
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}

/** The string S of XEP-0115 §5.1; null if the information is ill-formed (§5.4) or could be told in another way. */
export function capsString(query: XElement): string | null {
  const identities = query.all('identity', NS.discoInfo).map((i) => {
    const parts = [i.attr('category'), i.attr('type'), i.attr('xml:lang'), i.attr('name')];
    return { parts, text: parts.join('/') };
  });
  const features = query.all('feature', NS.discoInfo).map((f) => f.attr('var'));
  const forms = query
    .all('x', NS.forms)
    .map(formOf)
    .filter((f) => f !== null);
  // Without an identity there is nothing to be sure of (XEP-0030 §3.1); S does not say where its
  // parts end, so that what is one here must not be able to be another there (XEP-0115 §8.1).
  const loose = [...features, ...forms.flat()].some((t) => t.startsWith('client/') || t.includes('<'));
  const odd = identities.some(
    ({ parts, text }) => text.includes('<') || parts.slice(0, 3).some((p) => p.includes('/')),
  );
  const types = forms.map((f) => f[0]!);
  if (!identities.length || loose || odd) return null;
  if (twice(identities.map((i) => i.text)) || twice(features) || twice(types)) return null;
  identities.sort((a, b) => {
    for (let k = 0; k < 3; k++) {
      const order = octets(a.parts[k]!, b.parts[k]!);
      if (order) return order;
    }
    return 0;
  });
  forms.sort((a, b) => octets(a[0]!, b[0]!));
  return [...identities.map((i) => i.text), ...features.sort(octets), ...forms.flat()].map((t) => `${t}<`).join('');
}

/** A form as it stands in S: its type, then each field and its values; null for one that doesn't count (XEP-0115 §5.4). */
function formOf(form: XElement): string[] | null {
  const fields = form.all('field', NS.forms).map((f) => ({
    name: f.attr('var'),
    hidden: f.attr('type') === 'hidden',
    values: f.all('value', NS.forms).map((v) => v.textContent),
  }));
  const type = fields.find((f) => f.name === 'FORM_TYPE');
  if (!type?.hidden || !type.values.length) return null;
  // More than one type: taken as two forms of one type, which is ill-formed.
  if (type.values.some((v) => v !== type.values[0])) return ['<'];
  const rest = fields.filter((f) => f.name !== 'FORM_TYPE').sort((a, b) => octets(a.name, b.name));
  return [type.values[0]!, ...rest.flatMap((f) => [f.name, ...f.values.sort(octets)])];
}

const twice = (list: string[]) => new Set(list).size !== list.length;

/** i;octet (RFC 4790 §9.3): by bytes of UTF-8, which is by code points. */
function octets(a: string, b: string): number {
  const [p, q] = [[...a], [...b]];
  for (let i = 0; i < Math.min(p.length, q.length); i++) {
    const order = p[i]!.codePointAt(0)! - q[i]!.codePointAt(0)!;
    if (order) return order;
  }
  return p.length - q.length;
}
