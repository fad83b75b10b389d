// Package durable keeps orders for Creatify's previews and videos in a database and brings each to its end,
// whatever crashes: unless a person decides so, no order is paid for twice, and no charged job is lost. One
// machine needs only a SQLite file; many machines share a PostgreSQL database.
//
//	queue, err := durable.OpenFile(ctx, "orders.db", durable.Options{Client: client})
//	...
//	go queue.Run(ctx)
//	_, err = queue.Submit(ctx, durable.Order{ID: "order-17", Kind: durable.Preview, Params: params})
//	order, err := queue.Wait(ctx, "order-17")
//
// An order's ID is the caller's own; it makes a second Submit harmless. A preview that is approved and then
// rendered is two orders: the second has Kind Render and names the first.
//
// An order ends as done, failed, rejected, refused or cancelled. It is unknown while its paid call may have
// been charged but no job is known, and expired if its wait ended before its job. Unknown and expired orders
// are continued by a webhook, or by a person with [Queue.Resolve], [Queue.Resend] or [Queue.Abandon], or on
// the page of [Queue.StatusHandler].
//
// The queue runs on River (github.com/riverqueue/river), whose tables are beside its own in one schema. This
// package's table is authoritative for an order; River decides which process works on it, and when. The
// document docs/durable.md lists the promises, and what to do at 3 a.m.
package durable
