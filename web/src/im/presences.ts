/** Who is there, and how: the best resource of each contact stands for the person. */
import { bare, resource } from '../xmpp/jid.ts';
import { capsElement, capsVer, infoGet, isMobile } from '../xmpp/xep/disco.ts';
import { type ParsedPresence, presence, type Show } from '../xmpp/xep/presence.ts';
import type { Ctx } from './ctx.ts';
import type { Presence, Self } from './types.ts';

interface Resource {
  show: Show;
  status: string;
  priority: number;
  mobile: boolean;
}

const OFFLINE: Presence = { show: 'offline', status: '', mobile: false };
const ORDER: Show[] = ['available', 'dnd', 'away', 'xa', 'offline'];

/** Highest priority first (RFC 6121 §4.7.2.3), the most reachable one among equals. */
export function best(resources: Iterable<Resource>): Presence {
  const all = [...resources];
  const top = all.sort((a, b) => b.priority - a.priority || ORDER.indexOf(a.show) - ORDER.indexOf(b.show))[0];
  if (!top) return OFFLINE;
  return { show: top.show, status: top.status, mobile: all.every((r) => r.mobile) };
}

export class Presences {
  private people = new Map<string, Map<string, Resource>>();
  private shown = new Map<string, Presence>();
  private caps = new Map<string, Promise<boolean>>();
  private own: { show: Show; status: string } = { show: 'available', status: '' };

  constructor(private ctx: Ctx) {}

  async load(): Promise<void> {
    const show = (await this.ctx.db.meta('show')) as Show | undefined;
    this.own = { show: show ?? 'available', status: (await this.ctx.db.meta('status')) ?? '' };
  }
  all(): [string, Presence][] {
    return [...this.shown];
  }
  self(): Self {
    return { jid: this.ctx.account, ...this.own };
  }

  async announce(): Promise<void> {
    const caps = capsElement(await capsVer());
    this.ctx.send(presence(this.own.show, this.own.status, caps));
  }
  async set(show: Show, status: string): Promise<void> {
    this.own = { show, status };
    this.ctx.emit({ t: 'self', self: this.self() });
    await this.ctx.db.setMeta('show', show);
    await this.ctx.db.setMeta('status', status);
    await this.announce();
  }

  update(p: ParsedPresence): void {
    const jid = bare(p.from);
    if (jid === this.ctx.account) return;
    const res = resource(p.from);
    const person = this.people.get(jid) ?? new Map<string, Resource>();
    this.people.set(jid, person);
    if (p.show === 'offline' && !res) person.clear();
    else if (p.show === 'offline') person.delete(res);
    else
      person.set(res, {
        show: p.show,
        status: p.status,
        priority: p.priority,
        mobile: person.get(res)?.mobile ?? false,
      });
    this.show(jid);
    if (p.caps && p.show !== 'offline') void this.look(p.from, p.caps);
  }

  private show(jid: string): void {
    const next = best(this.people.get(jid)?.values() ?? []);
    const old = this.shown.get(jid) ?? OFFLINE;
    if (next.show === old.show && next.status === old.status && next.mobile === old.mobile) return;
    this.shown.set(jid, next);
    this.ctx.emit({ t: 'presence', jid, presence: next });
  }

  /** Is it a phone? Asked once for each kind of client, then known (XEP-0115 §6). */
  private async look(full: string, caps: string): Promise<void> {
    let known = this.caps.get(caps);
    if (!known) {
      known = this.ask(full, caps);
      this.caps.set(caps, known);
      known.catch(() => this.caps.delete(caps));
    }
    const mobile = await known.catch(() => false);
    const r = this.people.get(bare(full))?.get(resource(full));
    if (!r || r.mobile === mobile) return;
    r.mobile = mobile;
    this.show(bare(full));
  }
  private async ask(full: string, caps: string): Promise<boolean> {
    const stored = await this.ctx.db.mobile(caps);
    if (stored !== undefined) return stored;
    const mobile = isMobile(await this.ctx.ask('get', infoGet(caps), full));
    await this.ctx.db.setMobile(caps, mobile);
    return mobile;
  }

  /** A fresh session: the server tells everything anew; who is not told of is gone. */
  reset(): void {
    this.people.clear();
  }
  /** Called a moment after a fresh session began: whoever stayed silent is offline. */
  settle(): void {
    for (const jid of this.shown.keys()) this.show(jid);
  }
}
