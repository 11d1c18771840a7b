/** What the core needs kept. Met by platform/idb.ts; declared here because the core is its consumer. */
import type { Conv, Msg, RosterItem } from './types.ts';

export interface Meta {
  /** Last archive id up to which everything is here (XEP-0313 catch-up goes on after it). */
  cursor: string;
  rosterVer: string;
  show: string;
  status: string;
  resource: string;
}

export interface Db {
  meta<K extends keyof Meta>(key: K): Promise<Meta[K] | undefined>;
  setMeta<K extends keyof Meta>(key: K, value: Meta[K]): Promise<void>;
  roster(): Promise<RosterItem[]>;
  setRoster(items: RosterItem[]): Promise<void>;
  convs(): Promise<Conv[]>;
  /** Messages and conversations that belong together are written in one transaction. */
  put(msgs: Msg[], convs: Conv[]): Promise<void>;
  msg(key: string): Promise<Msg | undefined>;
  byArchiveId(archiveId: string): Promise<Msg | undefined>;
  byId(peer: string, dir: 'in' | 'out', id: string): Promise<Msg | undefined>;
  /** The newest n before (ts, key), oldest first; from the end without a position. */
  page(peer: string, before: { ts: number; key: string } | null, n: number): Promise<Msg[]>;
  pending(): Promise<Msg[]>;
  /** Of a kind of client, by its verified hash (XEP-0115 §5.4). */
  mobile(key: string): Promise<boolean | undefined>;
  setMobile(key: string, mobile: boolean): Promise<void>;
  close(): void;
}
