"""A provisioner for aioxmpp.e2etest: each client a test asks for gets an account
of its own, which nobody had before. An administrator makes it by XEP-0133 and
deletes it after the test, so that no test sees what another left behind.

Configured in e2etest.ini as provisioner=fresh.Fresh, with the folder of this
file in PYTHONPATH; keys: host, port, domain, admin, password, no_verify, quirks.
"""
import itertools

import aioxmpp
from aioxmpp.e2etest import provision

ADMIN = "http://jabber.org/protocol/admin"


class Fresh(provision._AutoConfiguredProvisioner):
    def configure(self, section):
        super().configure(section)
        self._host, self._port = section.get("host"), section.getint("port")
        self._domain = aioxmpp.JID.fromstr(section.get("domain", self._host))
        self._admin = self._domain.replace(localpart=section.get("admin"))
        self._password = section.get("password")
        self._layer = aioxmpp.make_security_layer(
            self._password, **provision.configure_tls_config(section))
        self._quirks = provision.configure_quirks(section)
        self._number, self._made = itertools.count(1), []
        self._session = None

    def _client(self, jid, logger=None):
        peer = (self._host, self._port, aioxmpp.connector.STARTTLSConnector())
        return aioxmpp.PresenceManagedClient(
            jid, self._layer, override_peer=[peer], logger=logger)

    async def initialise(self):
        client = self._client(self._admin)
        self._commands = client.summon(aioxmpp.AdHocClient)
        self._session = client.connected()
        await self._session.__aenter__()
        await super().initialise()

    async def finalise(self):
        await self._session.__aexit__(None, None, None)

    # run fills in the one form of a command of XEP-0133.
    async def _run(self, command, values):
        session = await self._commands.execute(self._domain, ADMIN + "#" + command)
        form = session.first_payload
        for field in form.fields:
            if field.var in values:
                field.values[:] = values[field.var]
        form.type_ = aioxmpp.forms.DataType.SUBMIT
        await session.proceed(payload=form)
        await session.close()

    async def _make_client(self, logger):
        jid = self._domain.replace(localpart="fresh{}".format(next(self._number)))
        await self._run("add-user", {
            "accountjid": [str(jid)],
            "password": [self._password], "password-verify": [self._password]})
        self._made.append(str(jid))
        return self._client(jid, logger)

    async def teardown(self):
        await super().teardown()
        made, self._made = self._made, []
        if made:
            await self._run("delete-user", {"accountjids": made})
