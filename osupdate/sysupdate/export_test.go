package sysupdate

// ParseList is for the fuzz test.
var ParseList = parseList
