/** Service discovery (XEP-0030) and entity capabilities (XEP-0115), as far as a client needs them. */
import { NS } from '../ns.ts';
import { type XElement, x } from '../xml.ts';

export const CAPS_NODE = 'https://parlance.im/web';

const FEATURES = [NS.caps, NS.chatstates, NS.discoInfo, NS.receipts, NS.markers, NS.sid, NS.ping, NS.version].sort();

export function ownInfo(node: string): XElement {
  return x(
    'query',
    { xmlns: NS.discoInfo, node: node || undefined },
    x('identity', { category: 'client', type: 'web', name: 'Parlance' }),
    FEATURES.map((f) => x('feature', { var: f })),
  );
}

/** XEP-0115 §5.1, for the one identity and feature list above. */
export async function capsVer(): Promise<string> {
  const s = `client/web//Parlance<${FEATURES.map((f) => `${f}<`).join('')}`;
  const digest = await crypto.subtle.digest('SHA-1', new TextEncoder().encode(s));
  return btoa(String.fromCharCode(...new Uint8Array(digest)));
}

export function capsElement(ver: string): XElement {
  return x('c', { xmlns: NS.caps, hash: 'sha-1', node: CAPS_NODE, ver });
}

export function infoGet(node: string): XElement {
  return x('query', { xmlns: NS.discoInfo, node: node || undefined });
}

/** Is this client one that is carried about? (registry: client/phone, client/handheld) */
export function isMobile(iq: XElement): boolean {
  const query = iq.child('query', NS.discoInfo);
  return !!query
    ?.all('identity')
    .some((i) => i.attr('category') === 'client' && ['phone', 'handheld', 'sms'].includes(i.attr('type')));
}
