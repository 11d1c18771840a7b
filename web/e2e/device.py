# A device that is none of ours: slixmpp (Debian's python3-slixmpp) signs in, says what kind of
# client it is (XEP-0030, XEP-0115), prints "ready JID" and stays until its input ends.
#
#   device.py HOST PORT JID PASSWORD TYPE NAME [CLAIMED-TYPE CLAIMED-NAME]
#
# TYPE is what it answers when it is asked. With a claimed one, its presence carries the hash of that.
import asyncio, ssl, sys
import slixmpp

host, port, jid, password, kind, name = sys.argv[1:7]
claimed = sys.argv[7:9]


class Device(slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__(jid, password)
        for p in ("xep_0030", "xep_0115", "xep_0199"):
            self.register_plugin(p)
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        self.add_event_handler("session_start", self.on_start)
        self.add_event_handler("failed_all_auth", lambda _: sys.exit("device: login refused"))

    async def on_start(self, _):
        disco, caps = self["xep_0030"], self["xep_0115"]
        if claimed:
            ver = await self.verstring(*claimed)
        disco.del_identities()
        disco.add_identity(category="client", itype=kind, name=name)
        await caps.update_caps(broadcast=False)
        if claimed:
            await disco.set_info(node=f"{caps.caps_node}#{ver}", info=await disco.get_info(local=True))
            await caps.assign_verstring(self.boundjid.full, ver)
        self.send_presence()
        await self.get_roster()
        print("ready", self.boundjid.full, flush=True)

    async def verstring(self, kind, name):
        disco = self["xep_0030"]
        disco.del_identities()
        disco.add_identity(category="client", itype=kind, name=name)
        return self["xep_0115"].generate_verstring(await disco.get_info(local=True), self["xep_0115"].hash)


async def main():
    device = Device()
    # the address is given, so DNS (SRV of the domain) is not asked
    device.connect((host, int(port)), force_starttls=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await device.disconnect(wait=0.5)


asyncio.get_event_loop().run_until_complete(main())
