import { describe, expect, it } from 'vitest';
import { Requests, type StanzaError } from './iq.ts';
import { parse, type XElement, x } from './xml.ts';

function setup() {
  const sent: XElement[] = [];
  const reqs = new Requests(
    (el) => sent.push(el) > 0,
    () => 'alice@acme.test/web',
  );
  const reply = (from: string, id = sent.at(-1)!.attr('id'), type = 'result') =>
    reqs.answer(parse(`<iq xmlns="jabber:client" type="${type}" id="${id}" ${from && `from="${from}"`}/>`));
  return { reqs, sent, reply };
}

describe('Requests (HARDENING I5: answers by somebody else)', () => {
  it.each(['', 'alice@acme.test', 'alice@acme.test/web'])('the account may answer as %j', async (from) => {
    const { reqs, reply } = setup();
    const got = reqs.ask('get', x('query'));
    expect(reply(from)).toBe(true);
    await got;
  });
  it.each(['bob@acme.test', 'alice@acme.test/other', 'acme.test'])('%j may not answer for the account', (from) => {
    const { reqs, reply } = setup();
    void reqs.ask('get', x('query')).catch(() => {});
    expect(reply(from)).toBe(false);
    reqs.fail();
  });
  it('only the one asked may answer', async () => {
    const { reqs, reply } = setup();
    const got = reqs.ask('get', x('query'), 'bob@acme.test/x');
    expect(reply('carol@acme.test/x')).toBe(false);
    expect(reply('')).toBe(false);
    expect(reply('bob@acme.test/x')).toBe(true);
    await got;
  });
  it('an error answer rejects with its condition', async () => {
    const { reqs, sent } = setup();
    const got = reqs.ask('get', x('query'));
    reqs.answer(
      parse(
        `<iq xmlns="jabber:client" type="error" id="${sent[0]!.attr('id')}"><error type="cancel"><item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`,
      ),
    );
    await expect(got).rejects.toMatchObject({ condition: 'item-not-found' } satisfies Partial<StanzaError>);
  });
});
