/**
 * Requests and their answers (RFC 6120 §8.2.3). An answer counts only if it comes from the entity
 * that was asked (HARDENING I5); ids are random, 128 bits.
 */
import { bare } from './jid.ts';
import { NS } from './ns.ts';
import { type XElement, x } from './xml.ts';

export class StanzaError extends Error {
  constructor(
    readonly condition: string,
    readonly type: string,
    text: string,
  ) {
    super(text || condition);
  }
}

/** The condition of an error stanza (RFC 6120 §8.3). */
export function stanzaError(el: XElement): StanzaError {
  const err = el.child('error');
  const cond = err?.children.find((c) => c.namespaceURI === NS.stanzas && c.localName !== 'text');
  return new StanzaError(
    cond?.localName ?? 'undefined-condition',
    err?.attr('type') ?? 'cancel',
    err?.text('text', NS.stanzas) ?? '',
  );
}

export function newId(): string {
  return crypto.randomUUID();
}

interface Waiting {
  to: string;
  resolve: (el: XElement) => void;
  reject: (err: Error) => void;
  timer: ReturnType<typeof setTimeout>;
}

export class Requests {
  private waiting = new Map<string, Waiting>();
  constructor(
    private send: (el: XElement) => boolean,
    private self: () => string,
    private timeout = 20_000,
  ) {}

  ask(type: 'get' | 'set', payload: XElement, to = ''): Promise<XElement> {
    const id = newId();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting.delete(id);
        reject(new StanzaError('remote-server-timeout', 'wait', ''));
      }, this.timeout);
      this.waiting.set(id, { to, resolve, reject, timer });
      if (!this.send(x('iq', { xmlns: NS.client, type, id, to: to || undefined }, payload))) {
        clearTimeout(timer);
        this.waiting.delete(id);
        reject(new StanzaError('not-connected', 'wait', ''));
      }
    });
  }

  /** Takes an answer; false if nobody asked, or somebody else than the one asked is answering. */
  answer(el: XElement): boolean {
    const w = this.waiting.get(el.attr('id'));
    if (!w) return false;
    const from = el.attr('from');
    const self = this.self();
    // RFC 6120 §8.1.2.1: the own account answers with no from, its bare JID, or the full JID.
    const fromAccount = from === '' || from === bare(self) || from === self;
    if (!(from === w.to || ((w.to === '' || w.to === bare(self)) && fromAccount))) return false;
    this.waiting.delete(el.attr('id'));
    clearTimeout(w.timer);
    if (el.attr('type') === 'error') w.reject(stanzaError(el));
    else w.resolve(el);
    return true;
  }

  /** The stream is gone for good: nothing asked on it will be answered. */
  fail(): void {
    for (const w of this.waiting.values()) {
      clearTimeout(w.timer);
      w.reject(new StanzaError('not-connected', 'wait', ''));
    }
    this.waiting.clear();
  }
}
