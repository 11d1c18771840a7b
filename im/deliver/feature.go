package deliver

import "github.com/parlance-im/parlance/im"

// Feature is what the path itself implements, for the support table.
func Feature() im.Feature {
	return im.Feature{
		Name: "deliver",
		Specs: []im.Spec{
			{ID: "RFC 6120", Version: "2011-03", Status: "complete", Note: "§8, §10: stanzas between entities of this server"},
			{ID: "RFC 6121", Version: "2011-03", Status: "complete", Note: "§5, §8: messages, server rules"},
			{ID: "XEP-0085", Version: "2.1", Status: "complete"},
			{ID: "XEP-0160", Version: "1.0.1", Status: "complete"},
			{ID: "XEP-0184", Version: "1.4.0", Status: "complete"},
			{ID: "XEP-0203", Version: "2.0", Status: "complete"},
			{ID: "XEP-0334", Version: "0.4.0", Status: "complete"},
		},
		HostFeatures: []string{"msgoffline"}, // XEP-0160 §4
	}
}
