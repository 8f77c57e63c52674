// Package cincinnati reads graphs of releases and says to which one a host may go:
// Cincinnati's protocol in the dialects of Fedora CoreOS and OpenShift, and files that a
// plain web server or a directory has. A file may also be a list of releases in their
// order, from which the edges follow.
//
// A graph only chooses among releases: that a release is genuine is the updater's to
// prove. So the package must not fetch, stage or verify any release, and knows no host;
// it has the standard library alone. What it does not understand, it takes nothing from.
package cincinnati
