/** Service discovery (XEP-0030), as far as a client needs it. */
import { NS } from '../ns.ts';
import { type XElement, x } from '../xml.ts';
import { type Caps, capsString, digest } from './caps.ts';

const CAPS_NODE = 'https://parlance.im/web';

const FEATURES = [NS.caps, NS.chatstates, NS.discoInfo, NS.receipts, NS.markers, NS.sid, NS.ping, NS.version].sort();

export function ownInfo(node: string): XElement {
  return x(
    'query',
    { xmlns: NS.discoInfo, node: node || undefined },
    x('identity', { category: 'client', type: 'web', name: 'Parlance' }),
    FEATURES.map((f) => x('feature', { var: f })),
  );
}

/** What our own presence says (XEP-0115 §5.1). */
export async function ownCaps(): Promise<Caps> {
  return { node: CAPS_NODE, hash: 'sha-1', ver: await digest('sha-1', capsString(ownInfo(''))!) };
}

export function infoGet(node: string): XElement {
  return x('query', { xmlns: NS.discoInfo, node: node || undefined });
}

/** Is this client one that is carried about? (registry: client/phone, client/handheld) */
export function isMobile(query: XElement): boolean {
  return query
    .all('identity', NS.discoInfo)
    .some((i) => i.attr('category') === 'client' && ['phone', 'handheld', 'sms'].includes(i.attr('type')));
}
