/** What the parts of the core share. Made by client.ts, which owns every field. */
import type { XElement } from '../xmpp/xml.ts';
import type { Convs } from './convs.ts';
import type { Db } from './db.ts';
import type { Delta } from './types.ts';

export interface Ctx {
  readonly db: Db;
  readonly convs: Convs;
  /** Own bare JID. */
  readonly account: string;
  /** Own full JID; the bare one before the first stream. */
  self(): string;
  online(): boolean;
  /** false: there is no stream, nothing was sent. */
  send(el: XElement): boolean;
  ask(type: 'get' | 'set', payload: XElement, to?: string): Promise<XElement>;
  emit(delta: Delta): void;
  /** The server's clock, as well as we know it. */
  now(): number;
  /** Is somebody looking at the end of this conversation right now? */
  watching(peer: string): boolean;
  newId(): string;
  /** Runs one change of messages and conversations at a time, in the order asked. Never nested. */
  serial<T>(fn: () => Promise<T>): Promise<T>;
}
