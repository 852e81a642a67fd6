/* SPDX-License-Identifier: Apache-2.0 */
/* Harts as host threads. */
#include "level/machine/internal.h"
#include <signal.h>

/* The engine has left its loop. Wait while the machine is held; true: the hart shall go on. */
static bool vcpu_held(struct vcpu *v)
{
	struct machine *m = v->m;
	struct rv_hart *h = v->hart;
	uint64_t since = host_monotonic_ns();
	bool stop;
	pthread_mutex_lock(&m->hold_lock);
	while (!(stop = __atomic_load_n(&h->requests, __ATOMIC_ACQUIRE) &
	                (RV_REQ_STOP | RV_REQ_PAUSE)) && m->held)
		pthread_cond_wait(&m->hold_over, &m->hold_lock);
	/* under the lock: the next hold asks anew */
	if (!stop)
		__atomic_and_fetch(&h->requests, ~(uint32_t)RV_REQ_HOLD, __ATOMIC_ACQ_REL);
	pthread_mutex_unlock(&m->hold_lock);
	if (!stop)
		rv_held(h, host_monotonic_ns() - since);
	return !stop;
}

void vcpus_hold(struct machine *m, bool on)
{
	pthread_mutex_lock(&m->hold_lock);
	m->held = on;
	for (unsigned i = 0; on && i < m->rv.nharts; i++)
		rv_hart_request(m->vcpus[i].hart, RV_REQ_HOLD);
	pthread_cond_broadcast(&m->hold_over);
	pthread_mutex_unlock(&m->hold_lock);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	char name[16];
	snprintf(name, sizeof name, "hart%u", v->hart->id);
	pthread_setname_np(pthread_self(), name);
	if (v->hart->id == 0)
		__atomic_store_n(&v->m->entered_ns, host_realtime_ns(), __ATOMIC_RELAXED);
	do
		v->m->engine->run(v->hart);
	while (vcpu_held(v));
	return NULL;
}

int vcpus_make(struct machine *m, struct lodge_err *e)
{
	for (unsigned i = 0; i < m->rv.nharts; i++) {
		struct vcpu *v = &m->vcpus[i];
		v->m = m;
		int r = rv_hart_new(&v->hart, &m->rv, i, e);
		if (r == 0) {
			m->rv.harts[i] = v->hart;
			r = m->engine->attach(v->hart, e);
		}
		if (r < 0)
			return err_in(e, r, "hart %u", i);
	}
	return 0;
}

void vcpus_reset(struct machine *m)
{
	for (unsigned i = 0; i < m->rv.nharts; i++) {
		rv_hart_reset(m->vcpus[i].hart, m->entry, m->dtb);
		m->vcpus[i].hart->x[12] = m->rv.sbi ? 0 : m->dynamic_info; /* a2 */
	}
}

int vcpus_start(struct machine *m, struct lodge_err *e)
{
	sigset_t all, old;
	int r = 0;
	sigfillset(&all); /* signals are for the loop thread */
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (unsigned i = 0; i < m->rv.nharts && r == 0; i++) {
		struct vcpu *v = &m->vcpus[i];
		__atomic_and_fetch(&v->hart->requests, ~(uint32_t)(RV_REQ_STOP | RV_REQ_PAUSE),
		                   __ATOMIC_ACQ_REL);
		r = pthread_create(&v->thread, NULL, vcpu_main, v);
		v->running = r == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		return 0;
	vcpus_stop(m, RV_REQ_STOP);
	return err_set(e, r, "cannot start a thread for each of %u harts", m->rv.nharts);
}

void vcpus_stop(struct machine *m, uint32_t request)
{
	for (unsigned i = 0; i < m->rv.nharts; i++)
		if (m->vcpus[i].running)
			rv_hart_request(m->vcpus[i].hart, request);
	/* those that are held look at what is asked of them */
	pthread_mutex_lock(&m->hold_lock);
	pthread_cond_broadcast(&m->hold_over);
	pthread_mutex_unlock(&m->hold_lock);
	for (unsigned i = 0; i < m->rv.nharts; i++)
		if (m->vcpus[i].running) {
			pthread_join(m->vcpus[i].thread, NULL);
			m->vcpus[i].running = false;
		}
}

void vcpus_free(struct machine *m)
{
	for (unsigned i = 0; i < RV_HARTS_MAX; i++) {
		struct rv_hart *h = m->vcpus[i].hart;
		m->vcpus[i].hart = NULL;
		if (!h)
			continue;
		m->engine->detach(h);
		rv_hart_free(h);
	}
}
