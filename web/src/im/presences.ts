/** Who is there, and how: the best resource of each contact stands for the person. */
import { bare, resource } from '../xmpp/jid.ts';
import { NS } from '../xmpp/ns.ts';
import { type Caps, capsElement, capsKey, vouches } from '../xmpp/xep/caps.ts';
import { infoGet, isMobile, ownCaps } from '../xmpp/xep/disco.ts';
import { type ParsedPresence, presence, type Show } from '../xmpp/xep/presence.ts';
import type { Ctx } from './ctx.ts';
import type { Presence, Self } from './types.ts';

interface Resource {
  show: Show;
  status: string;
  priority: number;
  mobile: boolean;
  /** Which client it said it is when it was last asked about; '' before. */
  client: string;
}

/** Who asks about a client waits this long for another's question about one with the same hash. */
const PATIENCE = 3_000;

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
  /** By hash: the question that is under way. */
  private asking = new Map<string, Promise<unknown>>();
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
    const caps = capsElement(await ownCaps());
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
        client: person.get(res)?.client ?? '',
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

  /** Is it a phone? Asked once for each kind of client, then known (XEP-0115 §6.2). */
  private async look(full: string, caps: Caps, second = false): Promise<void> {
    const r = () => this.people.get(bare(full))?.get(resource(full));
    const client = `${caps.hash} ${caps.node}#${caps.ver}`;
    const before = r();
    if (!before || before.client === client || (second && before.client)) return;
    before.client = client;
    const mobile = await this.learn(full, caps).catch(() => undefined);
    const now = r();
    if (now?.client !== client) return; // gone, or another client by now
    if (mobile === undefined) {
      now.client = ''; // asked again with its next presence,
      if (!second) setTimeout(() => void this.look(full, caps, true), PATIENCE); // or once more by itself
    } else if (now.mobile !== mobile) {
      now.mobile = mobile;
      this.show(bare(full));
    }
  }

  private async learn(full: string, caps: Caps): Promise<boolean> {
    const key = capsKey(caps);
    if (!key) return (await this.ask(full, caps, '')).mobile;
    for (;;) {
      const known = await this.ctx.db.mobile(key);
      if (known !== undefined) return known;
      const other = this.asking.get(key);
      if (!other) break;
      // Another of the same kind is being asked. If it does not answer, or its answer is not
      // what it said, this one is asked itself (XEP-0115 §5.4).
      const waited = await Promise.race([other.then(() => true), new Promise((r) => setTimeout(r, PATIENCE, false))]);
      if (!waited) break;
    }
    const question = this.ask(full, caps, key);
    const over = question.then(
      () => {},
      () => {},
    );
    this.asking.set(key, over);
    void over.then(() => this.asking.get(key) === over && this.asking.delete(key));
    return (await question).mobile;
  }

  /** What a client says of itself; kept for all of its kind if its hash vouches for it (HARDENING I8). */
  private async ask(full: string, caps: Caps, key: string): Promise<{ mobile: boolean }> {
    const iq = await this.ctx.ask('get', infoGet(caps.hash ? `${caps.node}#${caps.ver}` : ''), full);
    const query = iq.child('query', NS.discoInfo);
    const mobile = !!query && isMobile(query);
    if (key && query && (await vouches(caps, query))) await this.ctx.db.setMobile(key, mobile);
    return { mobile };
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
