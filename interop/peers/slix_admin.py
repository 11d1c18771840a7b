# slixmpp's XEP-0050 and XEP-0133 as an independent administrator. Prints one line
# per step: "ok NAME detail" or "FAIL NAME why"; the last line is "done".
import asyncio, logging, ssl, sys
import slixmpp

HOST, PORT, DOMAIN, PASSWORD = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
WAIT = 20
logging.basicConfig(level=logging.CRITICAL)


class Client(slixmpp.ClientXMPP):
    def __init__(self, user):
        # How it logs in is tried by slix.py.
        super().__init__(f"{user}@{DOMAIN}/slix", PASSWORD, sasl_mech="PLAIN")
        for p in ("xep_0004", "xep_0030", "xep_0050", "xep_0133"):
            self.register_plugin(p)
        self.started, self.got = asyncio.Event(), asyncio.Queue()
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("message", lambda m: self.got.put_nowait(m))
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE

    async def on_start(self, _):
        self.send_presence()
        await self.get_roster()
        self.started.set()

    async def up(self):
        self.connect((HOST, PORT), force_starttls=True)
        await asyncio.wait_for(self.started.wait(), WAIT)
        return self

    # run starts a command by its method of the plugin, fills in its form and
    # waits for the end. The result is the last answer's command, or an error's condition.
    async def run(self, start, fields=None, action="complete"):
        end = asyncio.get_running_loop().create_future()

        def finish(iq, session):
            if not end.done():
                end.set_result(iq["error"]["condition"] if iq["type"] == "error" else iq["command"])

        def ask(iq, session):
            if iq["command"]["status"] == "completed":
                return finish(iq, session)
            form = self["xep_0004"].make_form(ftype="submit")
            form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/admin")
            for name, value in (fields or {}).items():
                form.add_field(var=name, value=value)
            session["payload"], session["next"] = form, finish
            if action == "complete":
                self["xep_0050"].complete_command(session)
            elif action == "cancel":
                self["xep_0050"].cancel_command(session)
            else:
                self["xep_0050"].continue_command(session)

        start(DOMAIN, session={"next": ask, "error": finish, "cancel": finish})
        return await asyncio.wait_for(end, WAIT)


def value(command, name):
    return command["form"]["values"].get(name)


async def steps():
    admin, bob = await Client("admin").up(), await Client("bob").up()
    p = admin["xep_0133"]

    async def listed(c):
        items = await c["xep_0050"].get_commands(DOMAIN)
        return {i[1] for i in items["disco_items"]["items"]}

    nodes = await listed(admin)
    yield "list", len(nodes) >= 30 and "http://jabber.org/protocol/admin#add-user" in nodes, len(nodes)
    others = await listed(bob)
    yield "listed_to_nobody_else", not any(n.startswith("http://jabber.org/protocol/admin#") for n in others), others
    got = await bob.run(bob["xep_0133"].get_registered_users_num)
    yield "refused", got == "forbidden", got
    got = await admin.run(p.add_user, {"accountjid": f"zoe@{DOMAIN}", "password": PASSWORD, "password-verify": PASSWORD})
    yield "add_user", got["status"] == "completed", got
    got = await admin.run(p.add_user, {"accountjid": f"zoe@{DOMAIN}", "password": PASSWORD})
    yield "add_user_twice", got == "conflict", got
    got = await admin.run(p.add_user, {"accountjid": f"yan@{DOMAIN}"}, action="next")
    yield "bad_input", got == "bad-request", got
    zoe = await Client("zoe").up()
    yield "login", True, zoe.boundjid
    got = await admin.run(p.get_online_users_num)
    yield "count", value(got, "onlineusersnum") == "3", got
    got = await admin.run(p.get_online_users_list, {"max_items": "100"})
    yield "list_users", f"zoe@{DOMAIN}" in str(got), got
    got = await admin.run(p.announce, {"announcement": ["Two", "lines"]})
    m = await asyncio.wait_for(bob.got.get(), WAIT)
    yield "announce", m["body"] == "Two\nlines" and m["from"] == DOMAIN, m
    got = await admin.run(p.delete_user, {"accountjids": [f"zoe@{DOMAIN}"]}, action="cancel")
    yield "cancel", got["status"] == "canceled", got
    await asyncio.wait_for(zoe["xep_0030"].get_info(jid=DOMAIN), WAIT)
    got = await admin.run(p.delete_user, {"accountjids": [f"zoe@{DOMAIN}"]})
    yield "delete_user", got["status"] == "completed", got
    got = await admin.run(p.get_registered_users_num)
    yield "count_after", value(got, "registeredusersnum") == "6", got


async def main():
    try:
        async for name, ok, detail in steps():
            print("ok" if ok else "FAIL", name, str(detail).replace("\n", " ")[:300], flush=True)
    except Exception as e:
        print("FAIL", "run", type(e).__name__, e, flush=True)
    print("done", flush=True)


asyncio.get_event_loop().run_until_complete(main())
