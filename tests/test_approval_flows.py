"""What approval flows promise, line by line, and the tests that show it; a line without a test fails."""

from __future__ import annotations

import pytest

from tests.proofs import absent

TWO, CARDS, INPUTS = "journeys/test_two_systems.py", "journeys/test_several_cards.py", "journeys/test_inputs.py"
STEPS, ORDER, SEQUENCES = "policy/test_steps.py", "access/test_steps.py", "access/test_step_sequences.py"
RULES, OUTCOMES, BY_RULE = "policy/test_rule_outcomes.py", "access/test_rule_outcomes.py", "journeys/test_rules.py"
USAGE, LIMITS = "access/test_usage.py", "policy/test_limits.py"
STAND_INS, DELEGATE, DELEGATION = "policy/test_stand_ins.py", "access/test_delegate.py", "journeys/test_delegation.py"
ON_CALL, REACH, RELOAD = "journeys/test_on_call.py", "journeys/test_reach.py", "journeys/test_reload.py"

FLOWS: dict[str, list[str]] = {
    # asking
    "several roles in one request are granted in order, revoked in reverse, all or nothing": [
        f"{TWO}::test_each_channel_decides_its_part_and_both_open_and_close_together",
        f"{TWO}::test_one_that_is_refused_leaves_nothing_on_the_other",
        f"{TWO}::test_one_that_cannot_be_revoked_is_alarmed_in_its_channel_and_keeps_no_other_open",
    ],
    "each system decides about its part, on a card in its own channel": [
        f"{CARDS}::test_two_systems_of_one_channel_share_a_card_and_each_part_is_decided_by_its_own",
        f"{CARDS}::test_a_denial_of_one_part_ends_all_of_it",
    ],
    "one person fills one place over the whole request": [
        f"{STEPS}::test_no_sequence_is_complete_without_distinct_entitled_people_in_order",
        "policy/test_matching.py",
    ],
    "a role asks for typed inputs, in the form and on the line": [
        f"{INPUTS}::test_a_line_gives_an_input_and_what_was_chosen_is_granted",
        f"{INPUTS}::test_the_form_asks_once_it_is_chosen_and_an_error_is_at_its_field",
        "policy/test_inputs.py",
        "providers/test_inputs.py",
    ],
    "somebody else's access is requested, and opened only once they accept": [
        "journeys/test_for_others.py::test_from_the_line_to_access_and_its_end",
        "policy/test_on_behalf.py::test_neither_of_the_two_approves_it_nor_the_same_human_by_another_account",
        "access/test_consent.py",
        "access/test_consent_judged.py::test_the_limit_is_the_requesters_when_it_is_requested_and_when_they_accept",
    ],
    # deciding
    "steps are in order": [
        "journeys/test_steps.py::test_the_second_of_two_steps_in_order_is_told_and_answered_once_the_first_is",
        f"{STEPS}::test_only_the_first_open_step_of_an_ordered_role_can_be_answered",
    ],
    "a step needs so many different people of any of its groups, or of the owners": [
        f"{STEPS}::test_a_step_of_the_owners_is_of_the_approvers_of_the_system",
        f"{STEPS}::test_no_sequence_is_complete_without_distinct_entitled_people_in_order",
    ],
    "a step escalates once, only widens who may answer, and is told": [
        "journeys/test_steps.py::test_a_step_escalates_in_time_across_a_restart_and_those_it_reaches_can_approve",
        f"{STEPS}::test_the_groups_of_an_escalation_count_from_then_on_and_it_needs_no_fewer",
        f"{ORDER}::test_an_escalation_that_the_policy_dropped_adds_nobody",
    ],
    "a step is skipped for requesters of a group": [
        f"{ORDER}::test_a_step_is_skipped_for_who_is_in_the_group_and_waits_while_nobody_can_tell",
        f"{STEPS}::test_a_role_never_goes_without_any_step",
    ],
    "a denial by an open step ends it": [f"{ORDER}::test_a_denial_of_an_open_step_ends_it"],
    "the card shows the steps as a ladder": ["handlers/views/test_ladder.py"],
    "forty people in a step cost no more than four": [
        "policy/test_matching.py::test_forty_people_in_a_step_cost_no_more_than_four"
    ],
    "who can be reached is shown to the requester, and what to do where nobody can": [
        f"{REACH}::test_the_requester_reads_who_can_be_reached_with_the_way_to_the_card",
        f"{REACH}::test_where_nobody_can_be_reached_the_requester_reads_at_once_what_to_do",
        f"{REACH}::test_a_slack_that_does_not_tell_delays_no_request_and_is_said",
    ],
    "an approver asks, and the answer is on the card": [
        "journeys/test_asking.py::test_a_question_reaches_the_requester_and_its_answer_the_card"
    ],
    "with the answer the requester gives a better reason and asks for a shorter time": [
        "journeys/test_asking.py::test_with_the_answer_comes_a_better_reason_and_a_shorter_time",
        "journeys/test_asking.py::test_an_approval_for_less_is_for_the_reason_that_its_form_shows",
        "journeys/test_asking.py::test_a_reason_that_somebody_has_approved_has_no_field_and_no_late_change",
        "access/test_answer.py::test_reason_and_time_change_in_the_record_and_in_the_audit_log",
        "access/test_answer.py::test_an_approval_counts_for_the_reason_that_was_read",
        "access/test_answer.py::test_what_was_approved_for_less_stays_the_bound",
        "access/test_answer.py::test_of_two_answers_at_once_one_counts",
        f"{SEQUENCES}::test_nobody_has_approved_another_reason_or_less_time_than_what_is_granted",
    ],
    "an approver on leave names a stand-in": [
        f"{DELEGATION}::test_a_stand_in_is_told_approves_and_stands_on_the_card",
        f"{DELEGATION}::test_it_ends_by_itself_at_its_time",
        f"{STAND_INS}::test_it_never_chains",
        f"{STAND_INS}::test_both_together_fill_one_place",
        f"{DELEGATE}::test_a_forged_or_missing_record_means_no_stand_in_and_is_loud",
    ],
    "rules approve, deny, require and shorten by conditions": [
        f"{BY_RULE}::test_rules_deny_require_shorten_and_approve_by_conditions",
        f"{RULES}::test_deny_wins_then_require_and_what_needs_more_people_is_approved_by_no_rule",
        f"{RULES}::test_the_shortest_of_all_wins_and_what_is_shorter_anyway_is_left",
    ],
    "no condition whose answer is unknown loosens anything": [
        f"{RULES}::test_no_unknown_loosens_anything",
        f"{RULES}::test_what_cannot_be_told_is_true_for_what_is_stricter_and_false_for_what_approves",
    ],
    "hours and days are those of a zone": [f"{RULES}::test_hours_are_those_of_the_clocks_there"],
    "a calendar freezes": [
        f"{BY_RULE}::test_a_freeze_calendar_denies_while_it_has_an_event_and_is_explained",
        f"{OUTCOMES}::test_a_calendar_that_is_not_known_denies_until_it_is",
    ],
    "a ticket exists, or people decide": [
        f"{BY_RULE}::test_a_ticket_that_exists_is_approved_at_once_and_any_other_waits_for_people",
        "providers/test_ticket_system.py",
    ],
    "explain says which rule does what and why the others do not": ["cli/test_policy_explain.py"],
    "there are limits a day, a week and at a time, for a role, a system and a person": [
        "journeys/test_limits.py::test_what_is_full_says_when_there_is_room_and_whose_it_is_to_nobody",
        f"{USAGE}::test_of_many_approvals_at_once_no_more_than_the_limit_pass",
        f"{USAGE}::test_each_person_has_a_limit_of_their_own_by_identity",
        f"{LIMITS}::test_a_day_is_any_24_hours_and_a_week_any_7_days",
        "access/test_usage_sequences.py::test_no_limit_and_no_conflict_is_passed",
    ],
    "a denial is followed by a cooldown": [f"{USAGE}::test_after_a_denial_that_person_cannot_request_it_for_a_while"],
    "no limit trusts a key that can vanish": [
        f"{USAGE}::test_a_ledger_that_somebody_changed_refuses_what_is_new_until_it_is_counted_again",
        f"{USAGE}::test_a_ledger_restored_while_nobody_remembers_lets_nothing_be_granted",
    ],
    "nobody holds both sides of a conflict": [
        f"{USAGE}::test_nobody_requests_both_sides_of_a_conflict",
        f"{USAGE}::test_of_both_sides_requested_at_once_by_two_accounts_of_one_person_one_passes",
        f"{USAGE}::test_access_without_a_request_that_a_comparison_found_forbids_the_other_side",
        "journeys/test_limits.py::test_after_a_denial_and_for_the_other_side_of_a_conflict_the_answer_says_why",
    ],
    "who joined a group lately approves nothing critical": [
        f"{DELEGATION}::test_who_joined_the_group_just_now_approves_no_critical_role_and_may_deny_it",
        "worker/test_members_watch.py::test_a_record_that_was_taken_away_makes_everybody_new_and_is_loud",
    ],
    "a rule, a role or the workspace asks for a second factor, and explain says which": [
        "access/test_proof.py::test_a_rule_asks_for_a_code_where_nothing_else_does",
        "policy/test_mfa.py::test_a_rule_requires_a_proof_by_its_conditions",
        "policy/test_mfa.py::test_a_role_asks_for_more_than_the_workspace",
        "cli/test_policy_proofs.py::test_explain_says_what_a_second_factor_is_asked_for",
        "handlers/views/test_proofs_asked.py::test_it_says_who_proves_who_they_are",
    ],
    # break-glass
    "break-glass takes a proof of presence where factors are set": [
        "access/test_proof.py::test_break_glass_is_used_with_a_code",
        "access/test_proof.py::test_a_pending_request_is_taken_by_break_glass_with_a_code_of_its_own",
    ],
    "break-glass is at once, loud, and reviewed by somebody else": [
        "journeys/test_break_glass.py::test_taken_at_once_loud_and_reviewed_afterwards",
        "access/test_break_glass.py::test_a_review_is_somebody_elses_who_owns_the_system",
        "core/test_lifecycle.py::test_none_keeps_break_glass_without_its_review",
    ],
    "an overdue review has an owner decide about the next break-glass": [
        "journeys/test_break_glass.py::test_an_overdue_review_alarms_once_and_an_owner_decides_about_the_next",
        "access/test_break_glass.py::test_an_overdue_review_that_was_hidden_is_found_by_the_worker",
    ],
    "break-glass works while user groups cannot be read, and a lockdown beats it": [
        "access/test_break_glass.py::test_it_works_while_user_groups_cannot_be_read_by_the_list_of_the_policy",
        "access/test_break_glass.py::test_a_lockdown_beats_it",
    ],
    "break-glass is extended by people alone, and stopped by no limit but by separation of duties": [
        "access/test_break_glass.py::test_it_is_extended_by_people_alone_and_offboarding_judges_it_by_who_may_use_it",
        "access/test_break_glass_and_limits.py::test_separation_of_duties_stops_it",
        "access/test_break_glass_and_limits.py::test_limits_do_not_stop_it_and_it_takes_a_place",
    ],
    # policy as code
    "two policies are compared by what people gain and lose": ["cli/test_policy_diff.py", "policy/test_policy_diff.py"],
    "a policy has tests": [
        "cli/test_policy_cases.py",
        "cli/test_policy_case_flows.py",
        "policy/test_case_file.py",
    ],
    "editors have a schema": ["policy/test_json_schema.py"],
    "a policy is replayed over the archive": [
        "reports/test_replay.py",
        "reports/test_replay_flows.py",
        "cli/test_policy_replay.py",
    ],
    "a policy is reloaded, all or nothing": [
        f"{RELOAD}::test_sighup_has_a_policy_in_force_at_once_and_a_pending_request_is_decided_by_it",
        f"{RELOAD}::test_a_file_with_mistakes_keeps_the_policy_and_is_told_everywhere_once_until_it_is_good",
        f"{RELOAD}::test_a_replica_with_another_file_decides_nothing_new_until_it_has_the_same",
    ],
    "there are templates to start from": ["cli/test_starter.py"],
    "explain says who decides, who can be reached, and how long the last ones took": [
        f"{REACH}::test_explain_names_who_can_be_reached_and_who_cannot_until_when",
        f"{REACH}::test_explain_says_how_long_the_last_ones_took",
    ],
    # on call
    "who is in a group is read from LDAP": [
        "providers/test_ldap.py",
        "providers/test_ldap_active_directory.py",
        "journeys/test_ldap.py",
    ],
    "who is on call is read from PagerDuty": [
        "providers/test_pagerduty.py",
        f"{ON_CALL}::test_who_is_on_call_is_told_and_approves",
    ],
    "who is on call is read from a calendar": [
        "providers/test_ical.py",
        f"{ON_CALL}::test_a_calendar_says_who_is_on_call_and_when_it_is_frozen",
    ],
    "who is in a group is read from Microsoft Entra ID": ["providers/test_entra.py"],
    "who is in a group is read from Google Workspace": ["providers/test_google.py"],
    "who is in a group is read from Okta": ["providers/test_okta.py"],
    "who is in a group is read from a SCIM 2.0 server": ["providers/test_scim.py"],
    "while nobody knows who is on call, all approvers are told and nobody counts as on call": [
        f"{ON_CALL}::test_while_nobody_knows_who_is_on_call_all_approvers_are_told_and_nobody_is_on_call"
    ],
    # whatever happens
    "no sequence grants without a full set of distinct, entitled approvers": [
        f"{SEQUENCES}::test_nothing_is_approved_without_every_step_in_order",
        f"{STAND_INS}::test_no_sequence_of_delegations_and_clicks_needs_fewer_people_who_are_entitled",
    ],
}


@pytest.mark.parametrize("promise", FLOWS)
def test_each_promise_has_its_tests(promise: str) -> None:
    assert absent(FLOWS[promise]) == []
