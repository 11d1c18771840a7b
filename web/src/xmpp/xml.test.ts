import { describe, expect, it } from 'vitest';
import { parse, x } from './xml.ts';

describe('parse', () => {
  it('resolves namespaces through ancestors and prefixes', () => {
    const el = parse('<m xmlns="a" xmlns:p="b"><c/><p:d k=\'1\'>t&amp;&#x41;</p:d></m>');
    expect(el.child('c')?.namespaceURI).toBe('a');
    expect(el.child('d', 'b')?.textContent).toBe('t&A');
    expect(el.child('d')?.attr('k')).toBe('1');
  });
  it.each([
    ['a comment (RFC 6120 §11.1)', '<a><!-- x --></a>'],
    ['a processing instruction', '<a><?x y?></a>'],
    ['a DTD', '<!DOCTYPE a><a/>'],
    ['an undeclared entity', '<a>&nbsp;</a>'],
    ['a bare ampersand', '<a>a & b</a>'],
    ['the wrong end tag', '<a><b></a></b>'],
    ['an unfinished element', '<a><b/>'],
    ['two roots', '<a/><b/>'],
    ['an attribute twice', '<a x="1" x="2"/>'],
    ['text around it', 'x<a/>'],
    ['a NUL reference', '<a>&#0;</a>'],
    ['endless depth', '<a>'.repeat(70) + '</a>'.repeat(70)],
  ])('refuses %s', (_what, src) => {
    expect(() => parse(src)).toThrow(/^xml: /);
  });
});

describe('x', () => {
  it('escapes what it writes, so that reading it gives the same text', () => {
    const text = `<b>"Tom" & 'Jerry'\r\n\t]]>`;
    const el = x('a', { k: text, none: undefined, no: false }, x('b', {}, text));
    const back = parse(el.toString());
    expect(back.text('b')).toBe(text);
    expect(back.attr('k')).toBe(text);
    expect([...back.attrs.keys()]).toEqual(['k']);
  });
  it('leaves out characters XML has no way to carry (XML 1.0 §2.2)', () => {
    expect(x('a', {}, 'a\u0000b\u0008c\ud800d😀').toString()).toBe('<a>abcd😀</a>');
  });
});
