/** Roster (RFC 6121 §2) and the requests of people who want to see us (§3). */
import { bare } from '../xmpp/jid.ts';
import { NS } from '../xmpp/ns.ts';
import { type ParsedPresence, subscription } from '../xmpp/xep/presence.ts';
import { parsePush, parseRoster, rosterGet, rosterRemove, rosterSet } from '../xmpp/xep/roster.ts';
import { type XElement, x } from '../xmpp/xml.ts';
import type { Ctx } from './ctx.ts';
import type { Request, RosterItem } from './types.ts';

export class Contacts {
  private items = new Map<string, RosterItem>();
  private asking = new Map<string, Request>();
  constructor(private ctx: Ctx) {}

  async load(): Promise<void> {
    for (const item of await this.ctx.db.roster()) this.items.set(item.jid, item);
  }
  all(): RosterItem[] {
    return [...this.items.values()];
  }
  requests(): Request[] {
    return [...this.asking.values()];
  }

  /** After a fresh bind. With versioning an unchanged roster costs one empty answer (RFC 6121 §2.6). */
  async fetch(): Promise<void> {
    const ver = this.items.size ? ((await this.ctx.db.meta('rosterVer')) ?? '') : '';
    const got = parseRoster(await this.ctx.ask('get', rosterGet(ver)));
    if (!got.items) return;
    this.items = new Map(got.items.map((i) => [i.jid, i]));
    await this.changed(got.ver);
  }

  /** A roster push; answered only if it is one. */
  async push(iq: XElement): Promise<boolean> {
    const push = parsePush(iq, this.ctx.self());
    if (!push) return false;
    this.ctx.send(x('iq', { xmlns: NS.client, type: 'result', id: iq.attr('id') }));
    if (push.removed) this.items.delete(push.item.jid);
    else this.items.set(push.item.jid, push.item);
    if (push.item.subscription === 'from' || push.item.subscription === 'both') this.forget(push.item.jid);
    await this.changed(push.ver);
    return true;
  }

  private async changed(ver: string): Promise<void> {
    this.ctx.emit({ t: 'roster', roster: this.all() });
    await this.ctx.db.setRoster(this.all());
    await this.ctx.db.setMeta('rosterVer', ver);
  }

  subscriptionStanza(p: ParsedPresence): void {
    const jid = bare(p.from);
    if (p.type === 'unsubscribe') this.forget(jid);
    if (p.type !== 'subscribe' || jid === this.ctx.account) return;
    const item = this.items.get(jid);
    if (item && (item.ask || item.subscription === 'to')) {
      this.ctx.send(subscription(jid, 'subscribed')); // we asked to see them: they may see us
      return;
    }
    this.asking.set(jid, { jid, nick: p.nick });
    this.ctx.emit({ t: 'requests', requests: this.requests() });
  }

  private forget(jid: string): void {
    if (this.asking.delete(jid)) this.ctx.emit({ t: 'requests', requests: this.requests() });
  }

  async add(jid: string, name: string, groups: string[]): Promise<void> {
    await this.ctx.ask('set', rosterSet(jid, name, groups));
    this.ctx.send(subscription(jid, 'subscribe'));
  }
  async accept(jid: string): Promise<void> {
    this.ctx.send(subscription(jid, 'subscribed'));
    this.forget(jid);
    const item = this.items.get(jid);
    if (!item) await this.ctx.ask('set', rosterSet(jid, '', []));
    if (!item || item.subscription === 'none' || item.subscription === 'from')
      this.ctx.send(subscription(jid, 'subscribe'));
  }
  decline(jid: string): void {
    this.ctx.send(subscription(jid, 'unsubscribed'));
    this.forget(jid);
  }
  async rename(jid: string, name: string, groups: string[]): Promise<void> {
    await this.ctx.ask('set', rosterSet(jid, name, groups));
  }
  async remove(jid: string): Promise<void> {
    await this.ctx.ask('set', rosterRemove(jid)); // RFC 6121 §2.5: ends both subscriptions
  }
}
