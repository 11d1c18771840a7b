/**
 * Messages: RFC 6121 §5, chat states (XEP-0085), receipts (0184), delay (0203), carbons (0280),
 * chat markers (0333), hints (0334), stanza and origin ids (0359).
 */
import { bare } from '../jid.ts';
import { NS } from '../ns.ts';
import { type XElement, x } from '../xml.ts';

export type ChatState = 'active' | 'composing' | 'paused' | 'inactive' | 'gone';
const STATES: readonly string[] = ['active', 'composing', 'paused', 'inactive', 'gone'];

export interface ParsedMessage {
  from: string;
  to: string;
  id: string;
  type: string;
  body: string;
  originId: string;
  /** Given by our own archive, and only then: an id by anybody else proves nothing. */
  archiveId: string;
  /** Time in ms (with µs as fraction), 0 when the stanza carries none. */
  stamp: number;
  state: ChatState | null;
  wantsReceipt: boolean;
  markable: boolean;
  /** Id of the message that was received (0184) or displayed (0333) on the other side. */
  received: string;
  displayed: string;
  error: XElement | null;
}

/** XEP-0082 date-time to ms, keeping microseconds so that the archive's order survives. */
export function parseStamp(stamp: string): number {
  const m = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(stamp);
  if (!m) return 0;
  const whole = Date.parse(m[1]! + m[3]!);
  return Number.isNaN(whole) ? 0 : whole + Number(`0.${(m[2] ?? '0').slice(0, 6)}`) * 1000;
}

export function parseMessage(el: XElement, self: string): ParsedMessage {
  const own = bare(self);
  const sid = el.all('stanza-id', NS.sid).find((s) => s.attr('by') === own);
  const state = el.children.find((c) => c.namespaceURI === NS.chatstates && STATES.includes(c.localName));
  const delay = el.all('delay', NS.delay)[0];
  return {
    from: el.attr('from') || own,
    to: el.attr('to') || own,
    id: el.attr('id'),
    type: el.attr('type') || 'normal',
    body: el.text('body', NS.client),
    originId: el.child('origin-id', NS.sid)?.attr('id') ?? '',
    archiveId: sid?.attr('id') ?? '',
    stamp: delay ? parseStamp(delay.attr('stamp')) : 0,
    state: (state?.localName as ChatState | undefined) ?? null,
    wantsReceipt: !!el.child('request', NS.receipts),
    markable: !!el.child('markable', NS.markers),
    received: el.child('received', NS.receipts)?.attr('id') ?? '',
    displayed: el.child('displayed', NS.markers)?.attr('id') ?? '',
    error: el.attr('type') === 'error' ? el : null,
  };
}

export interface Unwrapped {
  message: XElement;
  carbon: 'sent' | 'received' | null;
}

/**
 * Takes a carbon out of its wrapper. A carbon by anybody but our own account is a forgery
 * (XEP-0280 §11, CVE-2017-5589 and its many siblings): null, drop it whole.
 */
export function unwrapCarbon(el: XElement, self: string): Unwrapped | null {
  const wrapper = el.children.find(
    (c) => c.namespaceURI === NS.carbons && (c.localName === 'sent' || c.localName === 'received'),
  );
  if (!wrapper) return { message: el, carbon: null };
  if (el.attr('from') !== bare(self)) return null;
  const message = wrapper.child('forwarded', NS.forward)?.child('message', NS.client);
  if (!message) return null;
  const carbon = wrapper.localName as 'sent' | 'received';
  // A copy must concern us: sent by this account, or to it.
  if (bare(message.attr(carbon === 'sent' ? 'from' : 'to')) !== bare(self)) return null;
  return { message, carbon };
}

export function chatMessage(to: string, id: string, body: string): XElement {
  return x(
    'message',
    { xmlns: NS.client, to, id, type: 'chat' },
    x('body', {}, body),
    x('active', { xmlns: NS.chatstates }), // XEP-0085 §5.1: part of every content message
    x('request', { xmlns: NS.receipts }),
    x('markable', { xmlns: NS.markers }),
    x('origin-id', { xmlns: NS.sid, id }), // XEP-0359 §3: equal to the stanza's own id
  );
}

export function stateMessage(to: string, state: ChatState): XElement {
  // XEP-0334 §4.2: nothing worth keeping.
  return x(
    'message',
    { xmlns: NS.client, to, type: 'chat' },
    x(state, { xmlns: NS.chatstates }),
    x('no-store', { xmlns: NS.hints }),
  );
}

export function receiptMessage(to: string, id: string, newId: string): XElement {
  return x(
    'message',
    { xmlns: NS.client, to, id: newId, type: 'chat' },
    x('received', { xmlns: NS.receipts, id }),
    x('store', { xmlns: NS.hints }),
  );
}

export function displayedMessage(to: string, id: string, newId: string): XElement {
  return x(
    'message',
    { xmlns: NS.client, to, id: newId, type: 'chat' },
    x('displayed', { xmlns: NS.markers, id }),
    x('store', { xmlns: NS.hints }),
  );
}
