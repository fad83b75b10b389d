// Package repository holds the tests of what is written about the library: the record of its Go API, its doc comments and
// examples, and the Markdown files. They are here, and not beside the library, since a Markdown parser and a loader of
// packages are nothing that users of the library should inherit.
package repository
