/** Roster items and pushes: RFC 6121 §2. */
import { bare } from '../jid.ts';
import { NS } from '../ns.ts';
import { type XElement, x } from '../xml.ts';

export type Subscription = 'none' | 'to' | 'from' | 'both';

export interface RosterItem {
  jid: string;
  name: string;
  groups: string[];
  subscription: Subscription;
  /** We asked and have no answer yet (RFC 6121 §2.1.2.2). */
  ask: boolean;
}

function parseItem(el: XElement): RosterItem & { removed: boolean } {
  const sub = el.attr('subscription');
  return {
    jid: bare(el.attr('jid')),
    name: el.attr('name'),
    groups: el
      .all('group')
      .map((g) => g.textContent)
      .filter(Boolean),
    subscription: (['to', 'from', 'both'].includes(sub) ? sub : 'none') as Subscription,
    ask: el.attr('ask') === 'subscribe',
    removed: sub === 'remove',
  };
}

export interface RosterResult {
  ver: string;
  /** null: nothing changed since the version that was named (RFC 6121 §2.6.2). */
  items: RosterItem[] | null;
}

export function rosterGet(ver: string | null): XElement {
  return x('query', { xmlns: NS.roster, ver: ver ?? undefined });
}

export function parseRoster(iq: XElement): RosterResult {
  const query = iq.child('query', NS.roster);
  if (!query) return { ver: '', items: null };
  const items = query.all('item').map(parseItem);
  return { ver: query.attr('ver'), items: items.filter((i) => !i.removed).map(({ removed: _, ...item }) => item) };
}

export interface RosterPush {
  ver: string;
  item: RosterItem;
  removed: boolean;
}

/** A push from anybody but our own account is a forgery (RFC 6121 §2.1.6, HARDENING I2): null. */
export function parsePush(iq: XElement, self: string): RosterPush | null {
  const from = iq.attr('from');
  const query = iq.child('query', NS.roster);
  if (!query || iq.attr('type') !== 'set' || (from !== '' && from !== bare(self))) return null;
  const el = query.child('item');
  if (!el) return null;
  const { removed, ...item } = parseItem(el);
  return { ver: query.attr('ver'), item, removed };
}

export function rosterSet(jid: string, name: string, groups: string[]): XElement {
  return x(
    'query',
    { xmlns: NS.roster },
    x(
      'item',
      { jid, name: name || undefined },
      groups.map((g) => x('group', {}, g)),
    ),
  );
}

export function rosterRemove(jid: string): XElement {
  return x('query', { xmlns: NS.roster }, x('item', { jid, subscription: 'remove' }));
}
