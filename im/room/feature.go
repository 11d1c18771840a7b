package room

import "github.com/parlance-im/parlance/im"

// Feature is the rooms' service for the support table.
func Feature() im.Feature {
	return im.Feature{
		Name: "room",
		Specs: []im.Spec{
			{ID: "XEP-0045", Version: "1.35.5", Status: "complete"},
			{ID: "XEP-0249", Version: "1.2", Status: "complete"},
			{ID: "XEP-0307", Version: "0.1", Status: "complete", Note: "a room of such a name is a group: members-only, non-anonymous, hidden"},
			{ID: "XEP-0317", Version: "0.3.1", Status: "complete"},
			{ID: "XEP-0410", Version: "1.1.0", Status: "complete", Note: "with the server's optimisation"},
			{ID: "XEP-0421", Version: "1.0.1", Status: "complete"},
			{ID: "XEP-0424", Version: "0.4.2", Status: "partial", Note: "tombstones in rooms' archives"},
			{ID: "XEP-0425", Version: "0.3.0", Status: "complete"},
			{ID: "XEP-0433", Version: "0.1.0", Status: "complete"},
			{ID: "XEP-0463", Version: "0.2.0", Status: "complete"},
			{ID: "XEP-0486", Version: "0.1.0", Status: "complete"},
			{ID: "XEP-0500", Version: "0.1.1", Status: "complete"},
			{ID: "XEP-0313", Version: "1.1.0", Status: "complete", Note: "room archives"},
		},
		Migrations: Migrations().FS,
	}
}
