package transfer

// Namespaces of XEP-0227 and of what it holds.
const (
	space        = "urn:xmpp:pie:0"
	spaceSCRAM   = "urn:xmpp:pie:0#scram"
	spaceMAM     = "urn:xmpp:pie:0#mam"
	spaceResult  = "urn:xmpp:mam:2"
	spaceForward = "urn:xmpp:forward:0"
	spaceDelay   = "urn:xmpp:delay"
	spaceClient  = "jabber:client"
	spaceRoster  = "jabber:iq:roster"
	spaceSID     = "urn:xmpp:sid:0"
	spaceInclude = "http://www.w3.org/2001/XInclude"
	spaceNode    = "http://jabber.org/protocol/pubsub"
	spaceOwner   = "http://jabber.org/protocol/pubsub#owner"

	// SpaceExport is the namespace of what Parlance adds: <export positions='true'/>
	// in <server-data/>, and <account/> in <user/>.
	SpaceExport = "https://parlance.im/protocol/export"
)

// mainFile is what an export of several files begins with.
const mainFile = "server-data.xml"
