// Package durable keeps orders for Creatify's previews and videos in a database and brings each to its end,
// whatever dies: no order is paid twice by itself, and no charged job is lost. One machine needs a SQLite
// file and nothing to set up; many machines share a PostgreSQL database.
//
//	queue, err := durable.OpenFile(ctx, "orders.db", durable.Options{Client: client})
//	...
//	go queue.Run(ctx)
//	_, err = queue.Submit(ctx, durable.Order{ID: "order-17", Kind: durable.Preview, Params: params})
//	order, err := queue.Wait(ctx, "order-17")
//
// An order's ID is the caller's own, and makes a second Submit harmless. A preview that somebody approves and
// then has rendered is two orders: the second has Kind Render and names the first.
//
// An order ends as done, failed, rejected, refused or cancelled. It is unknown while its paid call may have
// been charged and its job is not known, and expired when its time was up before its job ended. A webhook
// continues both, or a person does, with [Queue.Resolve], [Queue.Resend] or [Queue.Abandon], or at the page
// of [Queue.StatusHandler].
//
// The queue runs on River (github.com/riverqueue/river), whose tables are beside its own in one schema. This
// package's table is the truth about an order; River decides which process looks at it, and when. The
// document docs/durable.md lists what is promised, and what to do at 3 a.m.
package durable
