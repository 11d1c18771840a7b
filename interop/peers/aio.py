# aioxmpp (Debian's python3-aioxmpp) as an independent client: what its own
# end-to-end tests look at (interop/aioxmpp), in one conversation. Prints "ok STEP
# detail" or "FAIL STEP why"; the last line is "done".
import asyncio, logging, os, sys
import aioxmpp, aioxmpp.adhoc, aioxmpp.bookmarks, aioxmpp.ibb, aioxmpp.im.p2p, aioxmpp.ping, aioxmpp.version

HOST, PORT, DOMAIN, PASSWORD, KIND = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5]
WAIT = 10
logging.basicConfig(level=logging.DEBUG if os.environ.get("AIO_DEBUG") else logging.CRITICAL)
EN = aioxmpp.structs.LanguageTag.fromstr("en")
HOST_JID = aioxmpp.JID.fromstr(DOMAIN)


def client(user):
    peer = (HOST, PORT, aioxmpp.connector.STARTTLSConnector())
    c = aioxmpp.PresenceManagedClient(
        aioxmpp.JID.fromstr(f"{user}@{DOMAIN}"), aioxmpp.make_security_layer(PASSWORD, no_verify=True), override_peer=[peer])
    for s in (aioxmpp.DiscoClient, aioxmpp.EntityCapsService, aioxmpp.PresenceServer, aioxmpp.AdHocClient, aioxmpp.adhoc.AdHocServer,
              aioxmpp.BlockingClient, aioxmpp.BookmarkClient, aioxmpp.MUCClient, aioxmpp.ibb.IBBService, aioxmpp.PubSubClient, aioxmpp.ping.PingService, aioxmpp.pep.PEPClient):
        c.summon(s)
    return c


def signal(s, accept=lambda *a, **k: True):
    got = asyncio.get_running_loop().create_future()

    def on(*args, **kwargs):
        if got.done() or not accept(*args, **kwargs):
            return got.done()
        got.set_result((args, kwargs))
        return True
    s.connect(on)
    return asyncio.wait_for(got, WAIT)


@aioxmpp.pubsub.xso.as_payload_class
class Example(aioxmpp.xso.XSO):
    TAG = ("urn:example:aioxmpp", "example")


class Bytes(asyncio.Protocol):
    def __init__(self):
        self.data, self.lost = b"", asyncio.get_running_loop().create_future()

    def data_received(self, data):
        self.data += data

    def connection_lost(self, e):
        self.lost.set_result(e)


async def commands(a, b):
    said = aioxmpp.adhoc.xso.Note(aioxmpp.adhoc.xso.NoteType.INFO, "some info")

    async def run(_):
        return aioxmpp.adhoc.xso.Command("simple", notes=[said])
    b.summon(aioxmpp.adhoc.AdHocServer).register_stateless_command("simple", {EN: "Simple"}, run)
    asker = a.summon(aioxmpp.AdHocClient)
    assert [c.node for c in await asker.get_commands(b.local_jid)] == ["simple"]
    session = await asker.execute(b.local_jid, "simple")
    assert session.response.notes[0].body == "some info"
    await session.close()


# The command that the server itself has for everybody (its suite's quirk #no-adhoc-ping).
async def command_ping(a, b):
    asker = a.summon(aioxmpp.AdHocClient)
    assert "ping" in [c.node for c in await asker.get_commands(HOST_JID)]
    session = await asker.execute(HOST_JID, "ping")
    assert session.response.notes and session.first_payload is None
    await session.close()


async def blocking(a, b):
    stranger, c = aioxmpp.JID.fromstr("stranger@other.example"), a.summon(aioxmpp.BlockingClient)
    pushed = signal(c.on_jids_blocked)
    await c.block_jids([stranger])
    assert (await pushed)[0][0] == frozenset([stranger])
    pushed = signal(c.on_jids_unblocked)
    await c.unblock_jids([stranger])
    await pushed
    assert not c.blocklist


async def bookmarks(a, b):
    c, mark = a.summon(aioxmpp.BookmarkClient), aioxmpp.bookmarks.Conference("Coven", aioxmpp.JID.fromstr("coven@rooms.example"))
    await c.add_bookmark(mark)
    assert mark in await c.get_bookmarks()
    await c.discard_bookmark(mark)
    assert mark not in await c.get_bookmarks()


async def in_band_bytes(a, b):
    theirs = b.summon(aioxmpp.ibb.IBBService).expect_session(Bytes, a.local_jid, "fnord")
    out, _ = await a.summon(aioxmpp.ibb.IBBService).open_session(Bytes, b.local_jid, sid="fnord")
    _, got = await theirs
    out.write(b"this is data")
    out.close()
    await got.lost
    assert got.data == b"this is data", got.data


async def room(a, b):
    at = aioxmpp.JID.fromstr(f"coven@conference.{DOMAIN}")
    mine, entered = a.summon(aioxmpp.MUCClient).join(at, "first")
    form = aioxmpp.muc.xso.ConfigurationForm.from_xso(await a.summon(aioxmpp.MUCClient).get_room_config(at))
    form.membersonly.value = False
    await a.summon(aioxmpp.MUCClient).set_room_config(at, form.render_reply())
    await entered
    seen = signal(mine.on_join)
    theirs, entered = b.summon(aioxmpp.MUCClient).join(at, "second")
    await entered
    await seen
    msg = aioxmpp.Message(type_=aioxmpp.MessageType.GROUPCHAT)
    msg.body[None] = "hello"
    heard = signal(theirs.on_message, lambda m, *_, **__: m.body)
    token, tracker = mine.send_message_tracked(msg)
    await token
    args, _ = await heard
    assert args[0].body.any() == "hello" and args[0].id_ == msg.id_  # its suite's quirk #muc-id-rewrite
    if tracker.state != aioxmpp.tracking.MessageState.DELIVERED_TO_RECIPIENT:
        await signal(tracker.on_state_changed, lambda s, *_: s == aioxmpp.tracking.MessageState.DELIVERED_TO_RECIPIENT)
    left, gone = signal(mine.on_leave), signal(theirs.on_exit)
    bounce = aioxmpp.Presence(type_=aioxmpp.PresenceType.ERROR, to=theirs.me.conversation_jid)
    bounce.error = aioxmpp.stanza.Error(condition=aioxmpp.ErrorCondition.RECIPIENT_UNAVAILABLE, type_=aioxmpp.ErrorType.WAIT)
    await b.send(bounce)
    for event in (left, gone):  # its suite's quirk #muc-no-333
        assert (await event)[1]["muc_leave_mode"] == aioxmpp.muc.LeaveMode.ERROR


async def features(a, b):
    info = await a.summon(aioxmpp.DiscoClient).query_info(HOST_JID)
    assert "urn:xmpp:ping" in info.features
    assert (await aioxmpp.version.query_version(a.stream, HOST_JID)).name
    await aioxmpp.ping.ping(a, HOST_JID)
    await aioxmpp.ping.ping(a, b.local_jid)


# XEP-0060 on one's own account, and what the suite asks of publish-options.
async def publish_options(a, b):
    pep = a.summon(aioxmpp.pep.PEPClient)
    for _ in range(2):
        await pep.publish("urn:example:aioxmpp", Example(), access_model="whitelist")
    try:
        await pep.publish("urn:example:aioxmpp", Example(), access_model="presence")
    except aioxmpp.errors.XMPPError as e:
        assert e.condition == aioxmpp.ErrorCondition.CONFLICT, e
    else:
        raise AssertionError("published in spite of another access model")


async def main():
    a, b = client("alice"), client("bob")
    async with a.connected(), b.connected():
        steps = [features, commands, blocking, bookmarks, in_band_bytes, room, publish_options]
        if KIND == "parlance":
            steps.append(command_ping)
        for step in steps:
            try:
                await asyncio.wait_for(step(a, b), 2 * WAIT)
                print("ok", step.__name__, flush=True)
            except Exception as e:
                print("FAIL", step.__name__, type(e).__name__, e, flush=True)
    print("done")


asyncio.run(main())
