import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  block,
  fieldsOf,
  integer,
  LIST_LIMITS,
  type Pair,
  times,
} from '../../../../test/support/http2.ts';
import {
  BAD,
  FIELD_CONTENT_LENGTH,
  FIELD_COOKIE,
  FIELD_DROP,
  FIELD_EXPECT,
  FIELD_FORWARDING,
  FIELD_HOST,
  FIELD_MAX_FORWARDS,
  FIELD_OTHER,
  FIELD_TRACEPARENT,
  FIELD_TRAILER,
  FIELD_X_FORWARDED_FOR,
  FIELD_X_FORWARDED_HOST,
  FIELD_X_FORWARDED_PROTO,
  FRAMING_CHUNKED,
  FRAMING_LENGTH,
  FRAMING_NONE,
  Head,
  METHOD_GET,
  METHOD_OPTIONS,
  METHOD_POST,
  METHOD_PUT,
} from '../../head/head.ts';
import { parseRequestHead } from '../../http1/codec/request-head.ts';
import { FieldList } from './field-list.ts';
import { HpackDecoder } from './hpack-decoder.ts';
import { readRequest } from './request-fields.ts';

const list = new FieldList(LIST_LIMITS);
const head = new Head(10);

/** What a request has by default. An empty text takes it out. */
const GOOD: Record<string, string> = {
  ':method': 'GET',
  ':scheme': 'http',
  ':authority': 'web.shop',
  ':path': '/a?b',
};

function withPseudo(changes: Record<string, string | null>, ...fields: Pair[]): Pair[] {
  const pseudo = Object.entries({ ...GOOD, ...changes });
  return [...pseudo.filter((pair): pair is [string, string] => pair[1] !== null), ...fields];
}

function read(
  pairs: readonly Pair[],
  { endStream = true, extended = true, first = 0 } = {},
): string {
  const bytes = block(pairs, first);
  assert.equal(new HpackDecoder().decode(bytes, 0, bytes.length, list), 0);
  const end = readRequest(list, head, endStream, extended);
  if (end === BAD) return `${head.failure} ${head.rule}`;
  assert.equal(end, list.end);
  return 'ok';
}

function slice(start: number, end: number): string {
  return list.data.toString('latin1', start, end);
}

const REFUSED: readonly (readonly [what: string, pairs: readonly Pair[], verdict: string])[] = [
  ['no fields', [], 'bad_request pseudo_missing'],
  ['no method', withPseudo({ ':method': null }), 'bad_request pseudo_missing'],
  ['no scheme', withPseudo({ ':scheme': null }), 'bad_request pseudo_missing'],
  ['no path', withPseudo({ ':path': null }), 'bad_request pseudo_missing'],
  ['no authority', withPseudo({ ':authority': null }), 'bad_request host_missing'],
  ['an empty authority', withPseudo({ ':authority': '' }), 'bad_request host_invalid'],
  ['a user in the authority', withPseudo({ ':authority': 'a@b' }), 'bad_request host_invalid'],
  ['a path in the authority', withPseudo({ ':authority': 'a/b' }), 'bad_request host_invalid'],
  [
    'a line end in the authority',
    withPseudo({ ':authority': 'a\r\nx: y' }),
    'bad_request host_invalid',
  ],
  ['a port that is none', withPseudo({ ':authority': 'a:65536' }), 'bad_request host_invalid'],
  ['an empty method', withPseudo({ ':method': '' }), 'bad_request method_character'],
  ['a method with a space', withPseudo({ ':method': 'GET /x' }), 'bad_request method_character'],
  [
    'a method with a line end',
    withPseudo({ ':method': 'GET\r\n' }),
    'bad_request method_character',
  ],
  ['an empty scheme', withPseudo({ ':scheme': '' }), 'bad_request scheme_unknown'],
  ['another scheme', withPseudo({ ':scheme': 'ftp' }), 'bad_request scheme_unknown'],
  ['more than a scheme', withPseudo({ ':scheme': 'http://a/' }), 'bad_request scheme_unknown'],
  ['an empty path', withPseudo({ ':path': '' }), 'bad_request target_form'],
  ['a path without slash', withPseudo({ ':path': 'a' }), 'bad_request target_form'],
  ['an absolute target', withPseudo({ ':path': 'http://b/' }), 'bad_request target_form'],
  ['an asterisk', withPseudo({ ':path': '*' }), 'bad_request target_form'],
  [
    'more than an asterisk',
    withPseudo({ ':method': 'OPTIONS', ':path': '*/' }),
    'bad_request target_form',
  ],
  ['a path with a space', withPseudo({ ':path': '/a HTTP/1.1' }), 'bad_request target_character'],
  ['a path with a line end', withPseudo({ ':path': '/a\r\nx: y' }), 'bad_request target_character'],
  ['a path with NUL', withPseudo({ ':path': '/\0' }), 'bad_request target_character'],
  ['a fragment', withPseudo({ ':path': '/a#b' }), 'bad_request target_character'],
  ['a fragment in the query', withPseudo({ ':path': '/a?b#c' }), 'bad_request target_character'],
  ['a status', withPseudo({ ':status': '200' }), 'bad_request pseudo_unknown'],
  ['an unknown one', withPseudo({ ':x': '' }), 'bad_request pseudo_unknown'],
  ['only a colon', withPseudo({ ':': '' }), 'bad_request pseudo_unknown'],
  ['a method twice', withPseudo({}, [':method', 'GET']), 'bad_request pseudo_repeated'],
  ['a path twice', withPseudo({}, [':path', '/b']), 'bad_request pseudo_repeated'],
  [
    'a path behind a field',
    withPseudo({ ':path': null }, ['a', 'b'], [':path', '/']),
    'bad_request pseudo_late',
  ],
  [
    'CONNECT',
    withPseudo({ ':method': 'CONNECT', ':scheme': null, ':path': null }),
    'unsupported_method method_connect',
  ],
  [
    'CONNECT with everything',
    withPseudo({ ':method': 'CONNECT' }),
    'unsupported_method method_connect',
  ],
  [
    'a protocol without CONNECT',
    withPseudo({ ':protocol': 'websocket' }),
    'bad_request pseudo_unknown',
  ],
  [
    'an Extended CONNECT without path',
    withPseudo({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': null }),
    'bad_request pseudo_missing',
  ],
  [
    'an Extended CONNECT without authority',
    withPseudo({ ':method': 'CONNECT', ':protocol': 'websocket', ':authority': null }, [
      'host',
      'a',
    ]),
    'bad_request pseudo_missing',
  ],
  [
    'an Extended CONNECT with an empty protocol',
    withPseudo({ ':method': 'CONNECT', ':protocol': '' }),
    'bad_request pseudo_unknown',
  ],
  [
    'an Extended CONNECT with a length',
    withPseudo({ ':method': 'CONNECT', ':protocol': 'websocket' }, ['content-length', '0']),
    'bad_request content_length_differs',
  ],
  [
    'an Extended CONNECT for something else',
    withPseudo({ ':method': 'CONNECT', ':protocol': 'connect-udp' }),
    'unsupported_upgrade protocol_unknown',
  ],
  ['a capital letter', withPseudo({}, ['X-a', '']), 'bad_request field_name_upper'],
  [
    'a capital letter in a name that is known',
    withPseudo({}, ['cookiE', '']),
    'bad_request field_name_upper',
  ],
  ['an empty name', withPseudo({}, ['', 'a']), 'bad_request field_name_empty'],
  ['a space in a name', withPseudo({}, ['a b', '']), 'bad_request field_name_character'],
  ['a colon in a name', withPseudo({}, ['a:b', '']), 'bad_request field_name_character'],
  ['a line end in a name', withPseudo({}, ['a\r\nb', '']), 'bad_request field_name_character'],
  [
    'a capital letter and a space in a name',
    withPseudo({}, ['A b', '']),
    'bad_request field_name_character',
  ],
  [
    'a byte above ASCII in a name',
    withPseudo({}, ['\u00e4', '']),
    'bad_request field_name_character',
  ],
  ['NUL in a value', withPseudo({}, ['a', 'b\0c']), 'bad_request field_value_character'],
  ['CR in a value', withPseudo({}, ['a', 'b\rc']), 'bad_request field_value_character'],
  ['LF in a value', withPseudo({}, ['a', 'b\nc']), 'bad_request field_value_character'],
  [
    'a line end behind a value',
    withPseudo({}, ['a', 'b\r\n']),
    'bad_request field_value_character',
  ],
  ['DEL in a value', withPseudo({}, ['a', 'b\x7f']), 'bad_request field_value_character'],
  ['a space before a value', withPseudo({}, ['a', ' b']), 'bad_request field_value_space'],
  ['a tab behind a value', withPseudo({}, ['a', 'b\t']), 'bad_request field_value_space'],
  ['only a space', withPseudo({}, ['a', ' ']), 'bad_request field_value_space'],
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map(
    (name) => [name, withPseudo({}, [name, 'x']), 'bad_request field_of_connection'] as const,
  ),
  [
    'TE with more than trailers',
    withPseudo({}, ['te', 'trailers, deflate']),
    'bad_request te_other',
  ],
  ['an empty TE', withPseudo({}, ['te', '']), 'bad_request te_other'],
  ['another host', withPseudo({}, ['host', 'other']), 'bad_request host_differs'],
  ['the beginning of the host', withPseudo({}, ['host', 'web.sho']), 'bad_request host_differs'],
  [
    'the port of another scheme',
    withPseudo({}, ['host', 'web.shop:443']),
    'bad_request host_differs',
  ],
  [
    'two hosts',
    withPseudo({}, ['host', 'web.shop'], ['host', 'web.shop']),
    'bad_request host_repeated',
  ],
  ['an empty host', withPseudo({}, ['host', '']), 'bad_request host_invalid'],
  [
    'no authority and an empty host',
    withPseudo({ ':authority': null }, ['host', '']),
    'bad_request host_invalid',
  ],
  [
    'a length that is none',
    withPseudo({}, ['content-length', '+1']),
    'bad_request content_length_malformed',
  ],
  [
    'a length twice',
    withPseudo({}, ['content-length', '0'], ['content-length', '0']),
    'bad_request content_length_repeated',
  ],
  [
    'a length and nothing else',
    withPseudo({}, ['content-length', '5']),
    'bad_request content_length_differs',
  ],
  ['an expectation', withPseudo({}, ['expect', '200-ok']), 'expectation_failed expect_unknown'],
  [
    'no forwards left',
    withPseudo({ ':method': 'OPTIONS' }, ['max-forwards', '0']),
    'unsupported_method max_forwards_used',
  ],
  [
    'forwards that are no number',
    withPseudo({ ':method': 'TRACE' }, ['max-forwards', 'x']),
    'bad_request max_forwards_malformed',
  ],
  ['too many fields', withPseudo({}, ...times(101, ['a', 'b'])), 'head_too_large head_fields'],
  ['too many bytes', withPseudo({}, ['a', 'b'.repeat(16_384)]), 'head_too_large head_bytes'],
];

describe('requests that are refused', () => {
  for (const [what, pairs, verdict] of REFUSED)
    it(`${what}: ${verdict}`, () => assert.equal(read(pairs), verdict));

  it('an Extended CONNECT that was not offered', () => {
    const pairs = withPseudo({ ':method': 'CONNECT', ':protocol': 'websocket' });
    assert.equal(read(pairs, { extended: false }), 'bad_request pseudo_unknown');
  });

  it('TRACE with content', () => {
    const pairs = withPseudo({ ':method': 'TRACE' });
    assert.equal(read(pairs), 'ok');
    assert.equal(read(pairs, { endStream: false }), 'bad_request trace_content');
  });

  it('the same by an entry of a table as by a literal', () => {
    for (const [what, pairs, verdict] of REFUSED) {
      const decoder = new HpackDecoder();
      const bytes = block(pairs, 0x40);
      decoder.decode(bytes, 0, bytes.length, list);
      if (decoder.table.count < pairs.length) continue;
      const again = Buffer.concat(pairs.map((_, i) => integer(0x80, 0x7f, 61 + pairs.length - i)));
      assert.equal(decoder.decode(again, 0, again.length, list), 0);
      assert.equal(readRequest(list, head, true, true), BAD, what);
      assert.equal(`${head.failure} ${head.rule}`, verdict);
    }
  });
});

describe('requests that are taken', () => {
  it('method, target and host stand where the head says', () => {
    assert.equal(read(withPseudo({})), 'ok');
    assert.equal(slice(head.methodStart, head.methodEnd), 'GET');
    assert.equal(head.method, METHOD_GET);
    assert.equal(slice(head.targetStart, head.targetEnd), '/a?b');
    assert.equal(slice(head.queryStart, head.targetEnd), '?b');
    assert.equal(slice(head.hostStart, head.hostEnd), 'web.shop');
    assert.equal(head.count, 0);
    assert.equal(head.minor, 1);
    assert.equal(head.keepAlive, true);
  });

  it('nothing is left of the request before', () => {
    assert.notEqual(read(withPseudo({}, ['a', 'b'], ['connection', 'x'])), 'ok');
    assert.equal(read(withPseudo({}, ['a', 'b'])), 'ok');
    assert.equal(
      read(withPseudo({}, ['host', 'web.shop'], ['cookie', 'a'], ['te', 'trailers'])),
      'ok',
    );
    assert.equal(read(withPseudo({})), 'ok');
    assert.equal(head.count, 0);
    assert.equal(head.acceptsTrailers, false);
  });

  it('the * of OPTIONS, other methods, https, and bytes that leave encoded', () => {
    assert.equal(read(withPseudo({ ':method': 'OPTIONS', ':path': '*' })), 'ok');
    assert.equal(head.method, METHOD_OPTIONS);
    assert.equal(slice(head.targetStart, head.targetEnd), '*');
    assert.equal(head.queryStart, head.targetEnd);
    assert.equal(read(withPseudo({ ':method': 'MKCOL', ':scheme': 'https' })), 'ok');
    assert.equal(read(withPseudo({ ':path': '/"?\u00e4' })), 'ok');
    assert.equal(head.targetRaw, 2);
  });

  it('Host in place of :authority, or beside it in other letters or without the port', () => {
    assert.equal(
      read(withPseudo({ ':authority': null }, ['cookie', 'a'], ['host', 'other'], ['cookie', 'b'])),
      'ok',
    );
    assert.equal(slice(head.hostStart, head.hostEnd), 'other');
    for (const [scheme, authority, host] of [
      ['http', 'web.shop', 'WEB.shop'],
      ['http', 'web.shop:80', 'web.shop'],
      ['http', 'web.shop', 'web.shop:80'],
      ['https', 'web.shop', 'web.shop:443'],
      ['http', '[::a]:1', '[::A]:1'],
    ] as const) {
      const pairs = withPseudo({ ':scheme': scheme, ':authority': authority }, ['host', host]);
      assert.equal(read(pairs), 'ok', host);
      assert.equal(slice(head.hostStart, head.hostEnd), authority);
      assert.equal(head.fields[0], FIELD_HOST);
    }
  });

  it('an Extended CONNECT is an upgrade', () => {
    const pairs = withPseudo({ ':method': 'CONNECT', ':protocol': 'websocket' });
    assert.equal(read(pairs, { endStream: false }), 'ok');
    assert.equal(head.method, METHOD_GET, 'what it is in HTTP/1.1');
    assert.equal(slice(head.protocolStart, head.protocolEnd), 'websocket');
    assert.equal(head.upgrade, true);
    assert.equal(head.framing, FRAMING_NONE);
    assert.equal(read(withPseudo({})), 'ok');
    assert.equal(head.protocolEnd, 0);
  });

  it('the framing is what HTTP/1.1 would have', () => {
    const length = (value: string) => withPseudo({}, ['content-length', value]);
    const expect: Pair = ['expect', '100-continue'];
    for (const [pairs, endStream, framing, contentLength, expects] of [
      [withPseudo({}, expect), true, FRAMING_NONE, -1, false],
      [withPseudo({}, expect), false, FRAMING_CHUNKED, -1, true],
      [[...length('5'), expect], false, FRAMING_LENGTH, 5, true],
      [[...length('0'), expect], false, FRAMING_NONE, 0, false],
      [length('0'), true, FRAMING_NONE, 0, false],
    ] as const) {
      assert.equal(read(pairs, { endStream }), 'ok');
      assert.equal(head.framing, framing);
      assert.equal(head.chunked, framing === FRAMING_CHUNKED);
      assert.equal(head.contentLength, contentLength);
      assert.equal(head.expectContinue, expects);
    }
  });

  it('TE trailers is noted and dropped', () => {
    assert.equal(read(withPseudo({}, ['te', 'Trailers'])), 'ok');
    assert.equal(head.acceptsTrailers, true);
    assert.equal(head.fields[0], FIELD_DROP);
  });

  const KINDS: readonly (readonly [name: string, value: string, kind: number])[] = [
    ['accept', '*/*', FIELD_OTHER],
    ['x-a', ' b'.trim(), FIELD_OTHER],
    ['empty', '', FIELD_OTHER],
    ['cookie', 'a=b', FIELD_COOKIE],
    ['content-length', '0', FIELD_CONTENT_LENGTH],
    ['expect', '100-continue', FIELD_EXPECT],
    ['trailer', 'x', FIELD_TRAILER],
    ['traceparent', '00', FIELD_TRACEPARENT],
    ['x-forwarded-for', '1', FIELD_X_FORWARDED_FOR],
    ['x-forwarded-host', '1', FIELD_X_FORWARDED_HOST],
    ['x-forwarded-proto', '1', FIELD_X_FORWARDED_PROTO],
    ['x-forwarded-port', '1', FIELD_FORWARDING],
    ['forwarded', 'for=1', FIELD_FORWARDING],
    ['x-real-ip', '1', FIELD_FORWARDING],
    ['x_real_ip', '1', FIELD_DROP],
    ['content_length', '1', FIELD_DROP],
    ['transfer.encoding', 'chunked', FIELD_DROP],
    ['http2-settings', 'x', FIELD_DROP],
    ['max-forwards', '5', FIELD_OTHER],
  ];

  it('every field has the kind that it has in HTTP/1.1', () => {
    const data = Buffer.alloc(200);
    const other = new Head(10);
    for (const [name, value, kind] of KINDS) {
      assert.equal(read(withPseudo({}, [name, value])), 'ok', name);
      assert.deepEqual(fieldsOf(list.data, head), [[kind, name, value]]);
      const length = data.write(`GET / HTTP/1.1\r\nHost: a\r\n${name}: ${value}\r\n\r\n`, 'latin1');
      const limits = { headBytesMax: 200, headFieldsMax: 5 };
      assert.equal(parseRequestHead(data, 0, length, other, limits), length);
      assert.equal(other.fields[5], kind, name);
    }
    assert.equal(read(withPseudo({ ':method': 'OPTIONS' }, ['max-forwards', '5'])), 'ok');
    assert.equal(head.fields[0], FIELD_MAX_FORWARDS);
    assert.equal(head.maxForwards, 5);
  });

  it('a field that must not be indexed keeps its mark', () => {
    assert.equal(read(withPseudo({}, ['x-key', 'a'], ['cookie', 'b']), { first: 0x10 }), 'ok');
    assert.deepEqual(fieldsOf(list.data, head), [
      [FIELD_OTHER, 'x-key', 'a'],
      [FIELD_COOKIE, 'cookie', 'b'],
    ]);
    assert.ok(list.data.toString('latin1', 0, list.end).endsWith('x-key:\ta\r\ncookie:\tb\r\n'));
  });

  it('cookies are one field, wherever they stood, and everything else is as it was', () => {
    for (const [fields, joined] of [
      [
        [
          ['cookie', 'a=1'],
          ['cookie', 'b=2'],
          ['x', 'y'],
        ],
        'a=1; b=2',
      ],
      [
        [
          ['cookie', ''],
          ['x', 'y'],
          ['cookie', 'c'],
          ['long', 'z'.repeat(40)],
          ['cookie', 'd'],
        ],
        'c; d',
      ],
      [
        [
          ['x', 'y'],
          ['cookie', 'e'.repeat(50)],
          ['cookie', 'f'.repeat(50)],
        ],
        `${'e'.repeat(50)}; ${'f'.repeat(50)}`,
      ],
      [
        [
          ['cookie', 'h'],
          ['cookie', ''],
        ],
        'h',
      ],
      [times(2, ['cookie', '']), ''],
      [times(300, ['cookie', 'g']), Array<string>(300).fill('g').join('; ')],
    ] as const) {
      const others = fields.filter(([name]) => name !== 'cookie');
      assert.equal(read(withPseudo({}, ...fields)), 'ok');
      assert.equal(head.stamps, null);
      assert.deepEqual(fieldsOf(list.data, head), [
        ...others.map(([name, value]) => [FIELD_OTHER, name, value]),
        [FIELD_COOKIE, 'cookie', joined],
      ]);
      const lines = Object.entries(GOOD).map(([name, value]) => `${name}: ${value}\r\n`);
      const rest = others.map(([name, value]) => `${name}: ${value}\r\n`);
      assert.equal(
        list.data.toString('latin1', 0, list.end),
        [...lines, ...rest, `cookie: ${joined}\r\n`].join(''),
      );
    }
  });

  it('a head that was kept is read once more from its bytes', () => {
    const fields: Pair[] = [
      ['x-key', 'a'],
      ['cookie', 'b'],
      ['y', ''],
      ['cookie', 'c'],
      ['x-real-ip', '1'],
    ];
    assert.equal(read(withPseudo({}, ...fields), { first: 0x10 }), 'ok');
    const kept = Buffer.from(list.data.subarray(0, list.end));
    const before = fieldsOf(list.data, head);
    assert.equal(read(withPseudo({ ':path': '/other' })), 'ok');
    list.again(kept, 0, kept.length);
    const again = new Head(1);
    assert.equal(readRequest(list, again, true, true), kept.length);
    assert.deepEqual(fieldsOf(kept, again), before);
    assert.equal(kept.toString('latin1', again.targetStart, again.targetEnd), '/a?b');
  });
});

/** All of the fields get into the table, and come by index from the second time on. */
function readTwice(decoder: HpackDecoder, pairs: readonly Pair[]): string[] {
  const indexes = pairs.map((_, i) => Buffer.from([0x80 | (61 + pairs.length - i)]));
  return [block(pairs, 0x40), Buffer.concat(indexes), Buffer.concat(indexes)].map((bytes) => {
    assert.equal(decoder.decode(bytes, 0, bytes.length, list), 0);
    return readRequest(list, head, true, true) === BAD
      ? head.rule
      : slice(head.hostStart, head.hostEnd);
  });
}

it('takes an authority that comes by index for what it was found to be, and no other one', () => {
  const [good, bad, other] = ['web.shop', 'a@b', 'api.shop'].map((authority) =>
    withPseudo({ ':authority': authority }),
  ) as [Pair[], Pair[], Pair[]];
  const [one, two] = [new HpackDecoder(), new HpackDecoder()];
  for (let time = 0; time < 2; time++) {
    assert.deepEqual(readTwice(one, good), ['web.shop', 'web.shop', 'web.shop']);
    assert.deepEqual(readTwice(two, bad), ['host_invalid', 'host_invalid', 'host_invalid']);
    assert.deepEqual(readTwice(two, other), ['api.shop', 'api.shop', 'api.shop']);
    assert.deepEqual(readTwice(one, bad), ['host_invalid', 'host_invalid', 'host_invalid']);
  }
});

it('knows methods and schemes of the static table, also where others have the same name', () => {
  const read = (...first: number[]): unknown => {
    const bytes = Buffer.concat([
      Buffer.from(first),
      block([
        [':authority', 'a'],
        [':path', '/'],
      ]),
    ]);
    assert.equal(new HpackDecoder().decode(bytes, 0, bytes.length, list), 0);
    return readRequest(list, head, true, true) === BAD ? head.rule : head.method;
  };
  const [get, post, http, https] = [0x82, 0x83, 0x86, 0x87];
  assert.equal(read(get, http), METHOD_GET);
  assert.equal(read(post, http), METHOD_POST);
  assert.equal(read(get, https), METHOD_GET);
  // Names of the same entries with other values.
  assert.equal(read(0x02, 3, ...Buffer.from('PUT'), http), METHOD_PUT);
  assert.equal(read(0x02, 1, ...Buffer.from(' '), http), 'method_character');
  assert.equal(read(get, 0x06, 3, ...Buffer.from('ftp')), 'scheme_unknown');
});

describe('a call of gRPC that is refused', () => {
  const call = (...fields: Pair[]): Pair[] => withPseudo({ ':method': 'POST' }, ...fields);
  const type: Pair = ['content-type', 'application/grpc'];
  const te: Pair = ['te', 'trailers'];
  const refused: readonly (readonly [verdict: string, pairs: readonly Pair[]])[] = [
    ['head_too_large head_bytes', call(type, te, ['note', 'x'.repeat(20_000)])],
    ['head_too_large head_fields', call(type, te, ...times(120, ['x', 'y']))],
    ['target_too_long head_bytes', withPseudo({ ':path': `/${'x'.repeat(20_000)}` }, type)],
    ['unsupported_method method_connect', withPseudo({ ':method': 'CONNECT' }, type, te)],
    ['expectation_failed expect_unknown', call(type, ['expect', 'miracles'], te)],
  ];
  for (const [verdict, pairs] of refused)
    it(`is known for one whatever the fields of the request before were: ${verdict}`, () => {
      for (const before of [call(te, type), call(type, te), call(te, te, te)]) {
        read(before, { endStream: false });
        assert.equal(read(pairs, { endStream: false }), verdict);
        assert.equal(head.grpc, true);
      }
    });
});
