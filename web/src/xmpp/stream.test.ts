import { describe, expect, it } from 'vitest';
import './dom.ts';
import { type SMState, Strophe } from 'strophe.js';
import { SessionMemory } from './stream.ts';
import { parse, x } from './xml.ts';

describe('Strophe on our tree', () => {
  it('writes what we built, and nothing XML can not carry', () => {
    const el = x('message', { xmlns: 'jabber:client', to: 'bob@acme.test' }, x('body', {}, 'a < b & "c"\u0000'));
    const back = parse(Strophe.serialize(el as unknown as Element));
    expect(back.text('body')).toBe('a < b & "c"');
    expect(back.attr('to')).toBe('bob@acme.test');
  });
  it('builds and copies elements', () => {
    const b = new Strophe.Builder('iq', { type: 'set', id: '1' });
    b.c('bind', { xmlns: 'urn:ietf:params:xml:ns:xmpp-bind' }).c('resource', {}).t('web');
    const copy = Strophe.copyElement(b.tree());
    expect(
      parse(Strophe.serialize(copy as Element))
        .child('bind')
        ?.text('resource'),
    ).toBe('web');
  });
  it('turns broken input into a parse error instead of throwing', () => {
    expect(() => Strophe.toElement('<a><b></a>')).toThrow(/Parser Error/);
  });
});

describe('SessionMemory: what an acknowledgement covers (XEP-0198 §4)', () => {
  const state = (unacked: string[]) =>
    ({
      enableSent: true,
      unacked: unacked.map((id) => ({ name: 'message', stanza: `<message id="${id}"/>`, queuedAt: 0 })),
    }) as SMState;
  it('tells exactly the messages that left the queue', () => {
    const acked: string[][] = [];
    const mem = new SessionMemory((ids) => acked.push(ids));
    mem.track('1');
    mem.save('k', state(['1']));
    mem.track('2');
    mem.save('k', state(['1', '2']));
    expect(acked).toEqual([]);
    mem.save('k', state(['2']));
    mem.save('k', state(['2']));
    mem.save('k', state([]));
    expect(acked).toEqual([['1'], ['2']]);
  });
  it('a session that could not be resumed acknowledges nothing', () => {
    const acked: string[][] = [];
    const mem = new SessionMemory((ids) => acked.push(ids));
    mem.track('1');
    mem.save('k', state(['1']));
    mem.clear(); // <failed/>
    mem.save('k', state([])); // <enable/> of the next one
    expect(acked).toEqual([]);
  });
  it('keeps the state for the next socket', () => {
    const mem = new SessionMemory(() => {});
    mem.save('k', state(['1']));
    expect(mem.load()?.unacked).toHaveLength(1);
  });
});
