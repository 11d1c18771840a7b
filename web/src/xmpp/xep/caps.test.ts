import { describe, expect, it } from 'vitest';
import { parse } from '../xml.ts';
import { capsKey, capsString, parseCaps, vouches } from './caps.ts';
import { ownCaps, ownInfo } from './disco.ts';

const info = (inner: string) => parse(`<query xmlns="http://jabber.org/protocol/disco#info">${inner}</query>`);
const sha1 = (ver: string) => ({ node: 'http://x', hash: 'sha-1', ver });

const FEATURES = ['muc', 'disco#items', 'disco#info', 'caps']
  .map((f) => `<feature var="http://jabber.org/protocol/${f}"/>`)
  .join('');
const form = (inner: string, type = 'hidden') =>
  `<x xmlns="jabber:x:data" type="result"><field var="FORM_TYPE" type="${type}"><value>urn:xmpp:dataforms:softwareinfo</value></field>${inner}</x>`;
const SOFTWARE = form(
  `<field var="software_version"><value>0.11</value></field><field var="software"><value>Psi</value></field>
   <field var="os_version"><value>10.5.1</value></field><field var="os"><value>Mac</value></field>
   <field var="ip_version" type="text-multi"><value>ipv6</value><value>ipv4</value></field>`,
);

describe('the verification string (XEP-0115 §5.1)', () => {
  it('of the simple example (§5.2), in whatever order it is told', async () => {
    const q = info(`${FEATURES}<identity category="client" type="pc" name="Exodus 0.9.1"/>`);
    expect(await vouches(sha1('QgayPKawpkPSDYmwT/WM94uAlu0='), q)).toBe(true);
  });
  it('of the complex example (§5.3)', async () => {
    const q = info(
      `<identity xml:lang="en" category="client" name="Psi 0.11" type="pc"/><identity xml:lang="el" category="client" name="Ψ 0.11" type="pc"/>${FEATURES}${SOFTWARE}`,
    );
    expect(await vouches(sha1('q07IKJEyjvHSyhy//CH0CxmKi8w='), q)).toBe(true);
  });
  it('is our own too', async () => {
    expect(await vouches(await ownCaps(), ownInfo('any'))).toBe(true);
  });
  it('sorts by bytes, not by UTF-16 units (RFC 4790 §9.3)', () => {
    const q = info(`<identity category="client" type="pc"/><feature var="\u{1f600}"/><feature var="\uff21"/>`);
    expect(capsString(q)).toBe('client/pc//<\uff21<\u{1f600}<');
  });
  it('leaves out a form whose type is missing or not hidden (§5.4)', () => {
    const identity = '<identity category="client" type="pc"/>';
    expect(capsString(info(identity + form('', 'text-single')))).toBe('client/pc//<');
    expect(capsString(info(`${identity}<x xmlns="jabber:x:data"><field var="a"><value>b</value></field></x>`))).toBe(
      'client/pc//<',
    );
  });
});

describe('an answer is not believed of others', () => {
  const ID = '<identity category="client" type="pc" name="A"/>';
  it.each([
    ['without an identity', ''],
    ['with an identity twice', ID + ID],
    ['with a feature twice', `${ID}<feature var="a"/><feature var="a"/>`],
    ['with two forms of one type', ID + form('') + form('<field var="a"><value>b</value></field>')],
    [
      'with a form of two types',
      `${ID}<x xmlns="jabber:x:data"><field var="FORM_TYPE" type="hidden"><value>a</value><value>b</value></field></x>`,
    ],
    ['with "<" in a feature', `${ID}<feature var="a&lt;b"/>`],
    ['with "<" in a name', '<identity category="client" type="pc" name="A&lt;b"/>'],
    ['with "<" in a form', ID + form('<field var="a"><value>b&lt;c</value></field>')],
    ['with "/" in a category', '<identity category="client/phone" type="" name="A"/>'],
    ['with an identity told as a feature', `${ID}<feature var="client/phone//B"/>`],
    ['with an identity told as a form', ID + form('<field var="client/phone//B"/>')],
  ])('%s', async (_, inner) => {
    expect(capsString(info(inner))).toBeNull();
    expect(await vouches(sha1(''), info(inner))).toBe(false);
  });
  it('whose hash is another, or of no known kind', async () => {
    const q = info(`${FEATURES}<identity category="client" type="pc" name="Exodus 0.9.1"/>`);
    const ver = 'QgayPKawpkPSDYmwT/WM94uAlu0=';
    for (const caps of [
      sha1('QgayPKawpkPSDYmwT/WM94uAlu1='),
      sha1(` ${ver}`),
      { node: 'n', hash: 'sha-256', ver },
      { node: 'n', hash: '', ver },
      { node: 'n', hash: 'constructor', ver },
    ])
      expect(await vouches(caps, q)).toBe(false);
  });
});

it('what is kept is kept under a hash, never under what a client calls itself', () => {
  const c = (attrs: string) => parseCaps(parse(`<c xmlns="http://jabber.org/protocol/caps" ${attrs}/>`));
  expect(capsKey(c('node="n" ver="v" hash="sha-1"')!)).toBe('sha-1 v');
  expect(capsKey(c('node="other" ver="v" hash="sha-1"')!)).toBe('sha-1 v');
  for (const legacy of ['node="n" ver="0.9"', 'node="n" ver="0.9" hash="md5"', 'node="n" ver="v" hash="toString"'])
    expect(capsKey(c(legacy)!)).toBe('');
  expect(c('node="n" hash="sha-1"')).toBeNull();
  expect(parseCaps(undefined)).toBeNull();
});
