// Package convert makes declarations of tbx of what others read: the INI of distrobox
// assemble and a Containerfile. What has no counterpart it says, line by line. It must not
// run anything, nor read a file: package declare reads what comes out.
package convert
