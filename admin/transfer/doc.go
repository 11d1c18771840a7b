// Package transfer carries a whole server to another one, or from another one:
// XEP-0227 (1.1), the portable format, as files in a folder.
//
// Export writes server-data.xml, a file per host and a file per account, joined
// by XInclude; or, flat, one whole document per account. Import reads any such
// files (XEP-0227 §5): accounts with their SCRAM keys (XEP-0227 §4.3) or
// passwords, rosters, requests, vCards, block lists, private XML, personal nodes
// with their configuration, affiliations, subscriptions and items (§4.10),
// archives with their times and what waits to be delivered. What it does not know
// is left out and counted. Elements in SpaceExport beside the specification's carry
// a person's name and rights, and that archive ids are positions which can be kept.
//
// Rooms are out of the specification's scope; they are a host of their own, with a
// <room/> of SpaceExport each, in the forms of XEP-0045: configuration,
// affiliations and reserved nicknames, subject, card, and the archive with who
// wrote. Of a message that was taken back the tombstone goes along, not the record.
//
// Memory is bounded whatever the size: accounts are written and read one by one,
// messages and the items of large nodes one at a time. An import brings the archives of all accounts into one
// order through sorted runs on disk (sort.go), and joins the two copies of a
// message between two of them into one record (merge.go).
//
// Specifications: XEP-0227, XEP-0313 §4 (results), XEP-0203, XEP-0045 §10.2 and
// §9.5 (forms and lists of rooms), XML Inclusions.
//
// Tables: none; it goes through the domain. Goroutines: an import writes up to 32
// accounts at a time, and waits for them. Lock: importer.mu, a leaf. server meets Data, admin/command calls Export and Import.
// It does not carry files people uploaded, nor archive preferences.
package transfer
