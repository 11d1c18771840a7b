/** Presence: RFC 6121 §4 and §3 (subscriptions), entity capabilities (XEP-0115), nicknames (XEP-0172). */
import { NS } from '../ns.ts';
import { type XElement, x } from '../xml.ts';
import { type Caps, parseCaps } from './caps.ts';

export type Show = 'available' | 'away' | 'xa' | 'dnd' | 'offline';

export interface ParsedPresence {
  from: string;
  type: string;
  show: Show;
  status: string;
  priority: number;
  nick: string;
  caps: Caps | null;
}

export function parsePresence(el: XElement): ParsedPresence {
  const show = el.text('show', NS.client);
  const type = el.attr('type');
  return {
    from: el.attr('from'),
    type,
    show: type === 'unavailable' ? 'offline' : show === 'away' || show === 'xa' || show === 'dnd' ? show : 'available',
    status: el.text('status', NS.client),
    priority: Number.parseInt(el.text('priority', NS.client), 10) || 0,
    nick: el.text('nick', NS.nick),
    caps: parseCaps(el.child('c', NS.caps)),
  };
}

export function presence(show: Show, status: string, caps: XElement | null): XElement {
  return x(
    'presence',
    { xmlns: NS.client },
    show !== 'available' && show !== 'offline' && x('show', {}, show),
    status && x('status', {}, status),
    caps,
  );
}

export function subscription(to: string, type: 'subscribe' | 'subscribed' | 'unsubscribe' | 'unsubscribed'): XElement {
  return x('presence', { xmlns: NS.client, to, type });
}
