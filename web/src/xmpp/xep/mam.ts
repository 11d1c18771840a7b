/** Message archive (XEP-0313) with result set management (XEP-0059). */
import { bare } from '../jid.ts';
import { NS } from '../ns.ts';
import { type XElement, x } from '../xml.ts';
import { parseStamp } from './message.ts';

export interface MamQuery {
  queryId: string;
  with?: string;
  /** Only what comes after this archive id. */
  after?: string;
  /** Only what comes before this archive id; '' asks for the last page (XEP-0059 §2.5). */
  before?: string;
  max: number;
}

function field(name: string, value: string, hidden = false): XElement {
  return x('field', { var: name, type: hidden ? 'hidden' : undefined }, x('value', {}, value));
}

export function mamQuery(q: MamQuery): XElement {
  return x(
    'query',
    { xmlns: NS.mam, queryid: q.queryId },
    x('x', { xmlns: NS.forms, type: 'submit' }, field('FORM_TYPE', NS.mam, true), q.with && field('with', q.with)),
    x(
      'set',
      { xmlns: NS.rsm },
      x('max', {}, String(q.max)),
      q.after !== undefined && x('after', {}, q.after),
      q.before !== undefined && x('before', {}, q.before),
    ),
  );
}

export interface MamResult {
  queryId: string;
  archiveId: string;
  stamp: number;
  message: XElement;
}

/** One archived message; null if it is none, or not by our own archive (XEP-0313 §8.2). */
export function parseMamResult(el: XElement, self: string): MamResult | null {
  const result = el.child('result', NS.mam);
  const from = el.attr('from');
  if (!result || (from !== '' && from !== bare(self))) return null;
  const forwarded = result.child('forwarded', NS.forward);
  const message = forwarded?.child('message', NS.client);
  if (!message) return null;
  return {
    queryId: result.attr('queryid'),
    archiveId: result.attr('id'),
    stamp: parseStamp(forwarded?.child('delay', NS.delay)?.attr('stamp') ?? ''),
    message,
  };
}

export interface MamEnd {
  complete: boolean;
  first: string;
  last: string;
}

export function parseMamEnd(iq: XElement): MamEnd {
  const fin = iq.child('fin', NS.mam);
  const set = fin?.child('set', NS.rsm);
  return {
    complete: fin?.attr('complete') === 'true',
    first: set?.text('first') ?? '',
    last: set?.text('last') ?? '',
  };
}
