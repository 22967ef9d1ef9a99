"""Each line of the security model has tests that show it, or show the limit that it admits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proofs import absent

ROOT = Path(__file__).parents[1]
BINDINGS = "store/indexes/test_identity_bindings.py"
CHANGES = "journeys/test_directory_changes.py"
DELEGATE = "access/test_delegate.py"
STAND_INS = "policy/test_stand_ins.py"
WATCH = "worker/test_members_watch.py"
PUT_BACK = "worker/test_recovery.py"

PROOF: dict[str, list[str]] = {
    "- Everything is judged at the moment of the click": [
        "journeys/test_refusals.py::test_those_who_are_no_members_cannot_ask_or_look",
        "journeys/test_refusals.py::test_a_click_that_does_not_count_is_refused_with_a_sentence",
        "worker/test_races_and_kills.py::test_the_asker_never_counts_not_under_a_new_address_and_not_from_a_second_account",
        "journeys/test_identities.py::test_who_looks_like_an_approver_neither_decides_nor_takes_away",
    ],
    "- An address is bound to one Slack account": [
        f"{BINDINGS}::test_an_address_is_of_the_account_that_it_was_bound_to_first",
        f"{BINDINGS}::test_an_address_that_was_given_to_another_person_is_refused_until_an_operator_binds_it",
        f"{BINDINGS}::test_one_person_of_a_directory_is_not_two_people_here",
        f"{BINDINGS}::test_who_is_refused_stays_so_whatever_is_put_in_place_of_the_record",
        f"{BINDINGS}::test_an_older_record_that_is_put_back_is_not_believed_and_raises_an_alarm",
        f"{BINDINGS}::test_a_binding_of_which_one_half_was_deleted_frees_nobodys_address",
        "journeys/test_identities.py::test_whose_address_a_directory_gave_to_another_person_gets_and_decides_nothing_new",
    ],
    "- Nobody is given access that somebody else requested": [
        "access/test_consent.py::test_nobody_else_answers_for_the_person",
        "access/test_consent.py::test_the_same_at_the_approval_and_a_denial_never_waits_for_it",
        "access/test_consent.py::test_the_same_at_a_later_start",
        "policy/test_on_behalf.py::test_neither_of_the_two_approves_it_nor_the_same_human_by_another_account",
        "core/test_lifecycle.py::test_approvers_see_nothing_of_a_draft_and_it_leads_nowhere_without_consent",
    ],
    "- A second factor is set up only": [
        "access/test_enrolment.py::test_nothing_is_set_up_without_a_code",
        "access/test_enrolment.py::test_a_code_is_good_for_nobody_else",
        "access/test_enrolment.py::test_a_code_that_was_used_serves_no_more",
        "access/test_enrolment.py::test_a_code_that_is_too_old_begins_nothing_and_confirms_nothing",
        "access/test_enrolment.py::test_five_wrong_codes_take_it_away_however_many_arrive_at_once",
        "journeys/test_mfa.py::test_a_code_in_a_command_or_a_message_is_not_read_and_the_form_says_why",
        "journeys/test_mfa.py::test_two_operators_reset_what_was_lost_or_put_back",
        "access/test_enrolment.py::test_nobody_resets_alone_or_for_themself_or_from_a_terminal_that_is_nobodys",
        "access/test_enrolment.py::test_a_record_that_was_put_back_sets_up_nothing_until_it_is_reset",
        "access/test_enrolment.py::test_a_code_of_an_operators_and_a_first_code_of_the_app_set_it_up",
    ],
    "- What cannot be checked is a no": [
        "policy/test_authorization.py::test_a_group_that_is_not_known_allows_nothing_and_says_so",
        "journeys/test_leavers.py::test_a_slack_that_does_not_answer_takes_nothing_away",
    ],
    "- A rule of the policy that approves is sure": [
        "policy/test_rule_outcomes.py::test_no_unknown_loosens_anything",
        "access/test_rule_outcomes.py::test_a_calendar_that_is_not_known_denies_until_it_is",
        "access/test_rule_outcomes.py::test_a_rule_approves_for_a_ticket_that_surely_exists",
        "access/test_rule_outcomes.py::test_a_count_that_is_gone_or_forged_loosens_nothing",
    ],
    "- The host and the path of a ticket system": [
        "policy/test_rule_flaws.py::test_the_host_of_a_ticket_system_is_the_policys_alone",
        "providers/test_ticket_system.py::test_a_ticket_is_one_part_of_the_path_whatever_is_in_it",
        "providers/test_ticket_system.py::test_every_other_answer_tells_nothing",
    ],
    "- Who is in a group of a directory counts": [
        "store/indexes/test_directory_snapshots.py::test_whatever_else_is_there_says_nothing",
        "store/indexes/test_directory_snapshots.py::test_what_was_read_is_known_for_a_while",
        "journeys/test_on_call.py::test_for_what_is_critical_the_worker_asks_who_is_on_call_now",
        "journeys/test_on_call.py::test_where_nobody_says_within_a_second_nothing_critical_is_decided",
        "worker/test_fresh_groups.py::test_a_flood_of_read_requests_asks_once_and_one_is_granted_again_later",
        "worker/test_fresh_groups.py::test_forged_read_requests_ask_nothing_and_are_taken_some_at_a_time",
        "journeys/test_on_call.py::test_while_nobody_knows_who_is_on_call_all_approvers_are_told_and_nobody_is_on_call",
    ],
    "- Whoever is disabled in a directory that knows accounts": [
        "journeys/test_directory_people.py::test_somebody_disabled_requests_nothing_and_loses_what_they_have",
        "worker/test_directory_people.py::test_a_round_is_bounded_and_each_has_their_turn_but_suspects_first",
        "worker/test_directory_people.py::test_silence_changes_nobody",
        "worker/test_directory_leavers.py::test_a_mass_change_takes_nothing_away_until_a_person_confirms_it",
    ],
    "- Nothing is approved without each of its steps": [
        "access/test_step_sequences.py::test_nothing_is_approved_without_every_step_in_order",
        "access/test_steps.py::test_a_forged_escalation_adds_nobody",
        "access/test_steps.py::test_an_escalation_that_the_policy_dropped_adds_nobody",
    ],
    "- Nobody approves a reason that they were not shown": [
        "access/test_step_sequences.py::test_nobody_has_approved_another_reason_or_less_time_than_what_is_granted",
        "access/test_answer.py::test_a_reason_that_changes_while_it_is_approved_is_approved_by_nobody_who_did_not_read_it",
        "access/test_answer.py::test_a_ticket_on_which_rules_were_judged_stays_in_the_reason",
        "access/test_answer.py::test_a_shorter_time_needs_no_fewer_approvals",
        "core/test_lifecycle.py::test_an_answer_only_shortens_and_changes_no_reason_that_somebody_has_approved",
        "journeys/test_asking.py::test_an_approval_for_less_is_for_the_reason_that_its_form_shows",
    ],
    "- How old the answers are": [f"{CHANGES}::test_who_was_deactivated_is_refused_directly_after_the_event"],
    "| a deactivation, or a removal from a user group, reported by an event": [
        f"{CHANGES}::test_who_was_deactivated_is_refused_directly_after_the_event",
        f"{CHANGES}::test_who_was_taken_out_of_a_group_is_refused_directly_after_the_event",
    ],
    "| the same without an event": [
        f"{CHANGES}::test_a_lost_event_is_made_up_for_within_the_age_of_an_answer",
        f"{CHANGES}::test_an_address_that_changed_is_the_new_one_within_the_age_of_an_answer",
        f"{CHANGES}::test_whom_an_event_puts_into_a_group_is_in_it_once_slack_says_so_itself",
    ],
    "| somebody in an approvers' group is a guest": [
        "journeys/test_nobody.py::test_what_only_nobodies_could_approve_cannot_be_asked_for",
    ],
    "| anything, where a critical role is approved": [
        f"{CHANGES}::test_a_critical_role_is_opened_by_answers_that_were_asked_for_just_then",
        f"{CHANGES}::test_a_critical_extension_is_asked_about_afresh",
        f"{CHANGES}::test_a_lockdown_is_lifted_by_those_who_are_operators_at_that_moment",
        f"{CHANGES}::test_without_an_answer_nothing_critical_is_decided_and_it_can_be_tried_again",
    ],
    "- Whoever can write to Redis grants nothing": [
        "chaos/test_hostile.py",
        f"{PUT_BACK}::test_a_request_that_has_ended_is_not_opened_by_any_of_its_older_records",
        f"{PUT_BACK}::test_what_is_open_is_found_and_closed_however_it_is_hidden",
        "handlers/notify/test_forged_notices.py::test_no_word_of_a_forged_event_is_read_anywhere",
        "access/test_lockdown.py::test_its_record_cannot_be_taken_away",
        "store/test_keys.py::test_the_security_guide_says_of_every_key_what_a_writer_gains_by_it",
    ],
    "- A stand-in uses an approver's right": [
        f"{STAND_INS}::test_both_together_fill_one_place",
        f"{STAND_INS}::test_it_never_chains",
        f"{STAND_INS}::test_who_stands_in_for_the_other_decides_nothing_of_theirs",
        f"{STAND_INS}::test_no_sequence_of_delegations_and_clicks_needs_fewer_people_who_are_entitled",
        f"{DELEGATE}::test_a_decision_counts_only_by_the_delegations_that_it_was_judged_by",
        f"{DELEGATE}::test_a_forged_or_missing_record_means_no_stand_in_and_is_loud",
        f"{DELEGATE}::test_a_worker_grants_nothing_that_was_approved_by_a_delegation_that_was_put_back",
    ],
    "- Somebody who was put into a group of approvers": [
        f"{STAND_INS}::test_who_joined_lately_approves_no_critical_role_and_every_other",
        f"{WATCH}::test_a_record_that_was_taken_away_makes_everybody_new_and_is_loud",
        "journeys/test_delegation.py::test_who_joined_the_group_just_now_approves_no_critical_role_and_may_deny_it",
    ],
    "- The holder gains no time": [
        "providers/test_postgresql_hostile.py",
        "providers/test_postgresql_end.py",
        "providers/test_mysql_end.py",
        "providers/test_redis.py",
    ],
    "- What a requester gives for an input": [
        "access/test_inputs.py::test_whatever_is_typed_a_provider_gets_a_value_that_passed_or_nothing",
        "policy/test_inputs.py::test_a_value_gets_where_it_is_named_and_nowhere_else",
        "providers/test_inputs.py::test_a_role_and_a_database_are_named_to_the_letter",
        "providers/test_inputs.py::test_whatever_is_typed_is_one_database_in_a_statement_and_no_pattern",
        "providers/test_inputs.py::test_whatever_is_typed_the_rules_have_one_pattern_more_and_nothing_else",
    ],
    "- Break-glass is never silent": [
        "access/test_break_glass.py::test_it_is_one_step_of_the_record_and_loud_before_anything_is_granted",
        "access/test_break_glass.py::test_so_many_a_day_and_the_limits_of_requests_do_not_stop_it",
        "access/test_break_glass.py::test_a_lockdown_beats_it",
        "access/test_break_glass.py::test_uses_that_were_deleted_from_redis_are_counted_by_the_worker",
        "access/test_break_glass.py::test_a_review_is_somebody_elses_who_owns_the_system",
        "core/test_lifecycle.py::test_none_keeps_break_glass_without_its_review",
    ],
    "- Break-glass access is granted whether Slack has shown the alarm or not": [
        "journeys/test_break_glass.py::test_access_is_not_kept_waiting_by_a_slack_that_takes_no_alarm",
    ],
    "- Passwords are created when they are shown": [
        "journeys/test_connecting.py::test_the_password_is_in_no_message_and_no_record",
        f"{PUT_BACK}::test_no_secret_is_shown_from_a_record_that_was_put_back",
    ],
    "| the bot token": [
        "cli/test_manifest.py::test_no_scope_is_there_for_nothing",
        "journeys/test_announcing.py::test_an_event_that_is_not_about_a_message_of_ours_removes_and_marks_nothing",
    ],
    "| the signing secret": [
        "test_http_server.py::test_a_signed_click_reaches_bolt",
        "test_http_server.py::test_a_proof_of_another_body_secret_or_moment_is_none",
    ],
    "| `REDIS_URL`": [
        "chaos/test_forged.py",
        f"{PUT_BACK}::test_an_end_that_was_put_off_is_put_before_the_workers_again",
    ],
    "| `JIT_KEYS` and `REDIS_URL`": [f"{PUT_BACK}::test_who_has_the_keys_too_can_approve_anything"],
    "| the secret of a ticket system": [
        "providers/test_ticket_system.py::test_what_is_signed_with_another_secret_is_refused_and_tells_nothing",
    ],
    "| a directory's token": [
        "journeys/test_on_call.py::test_web_answers_by_what_the_worker_read_and_has_no_token",
        "providers/test_pagerduty.py::test_a_wrong_token_is_a_definite_no_that_does_not_show_it",
        "providers/test_oauth.py::test_one_token_is_kept_and_is_in_no_log",
        "providers/test_entra.py::test_a_link_to_another_host_gets_no_token",
        "providers/test_google.py::test_the_key_file_does_not_say_where_its_assertion_goes",
        "providers/test_ldap.py::test_a_wrong_password_is_a_definite_no_that_does_not_show_it",
        "providers/test_okta.py::test_a_next_page_is_read_where_the_first_was_and_nowhere_else",
        "providers/test_scim.py::test_an_account_is_a_token_or_a_name_and_a_password",
    ],
    "| a provider's credentials": ["journeys/test_processes.py::test_web_starts_without_the_secrets_of_the_systems"],
    "- Somebody with two Slack accounts": [
        "policy/test_authorization.py::test_a_second_account_with_an_address_of_its_own_is_another_person",
        f"{BINDINGS}::test_one_person_of_a_directory_is_not_two_people_here",
    ],
    "- Whoever may write to Redis while every process": [
        f"{BINDINGS}::test_what_was_deleted_while_no_process_ran_is_forgotten",
    ],
    "- Whoever may edit a user group": [
        f"{CHANGES}::test_whom_an_event_puts_into_a_group_is_in_it_once_slack_says_so_itself",
    ],
    "- Whoever may edit a schedule": [
        "journeys/test_on_call.py::test_when_the_shift_changes_it_is_the_next_who_approves",
        "providers/test_entra.py::test_the_mail_is_the_address_unless_the_config_says_the_principal_name",
        "journeys/test_ldap.py::test_a_group_of_ldap_approves_as_it_is_then",
        "providers/test_okta.py::test_a_name_leads_to_the_group_that_has_it_at_each_look",
        "providers/test_scim.py::test_the_primary_address_counts_else_the_one_at_work",
    ],
    "- Whoever takes over an approver's account": [f"{STAND_INS}::test_both_together_fill_one_place"],
    "- Who was in a group before": [f"{WATCH}::test_a_new_workspace_takes_its_people_to_have_been_there_before"],
    "- Whoever is root on a machine": ["journeys/test_terminals.py::test_two_terminals_of_two_humans_lift_it"],
    "- After all processes were restarted": [
        "access/test_rule_outcomes.py::test_an_older_count_that_no_process_remembers_is_believed_until_it_is_counted_again",
    ],
    "- A `web` without the archive": [
        f"{PUT_BACK}::test_a_request_that_was_denied_is_not_opened_when_it_is_put_back_and_approved",
    ],
}
"""The beginning of each line → the files and tests that show it."""


def lines() -> list[str]:
    """The model's claims: its points, and the rows of its tables without their heads."""
    text = (ROOT / "bot" / "guides" / "security-model.md").read_text(encoding="utf-8")
    stripped = [line.strip() for line in text.splitlines()]
    heads = {n - 1 for n, line in enumerate(stripped) if line.startswith("| ---")}
    return [
        line
        for n, line in enumerate(stripped)
        if line.startswith(("- ", "| ")) and not line.startswith("| ---") and n not in heads
    ]


def test_each_line_has_its_tests_and_no_line_is_shown_that_is_not_there() -> None:
    told = lines()
    assert [line for line in told if not any(line.startswith(claim) for claim in PROOF)] == []
    assert [claim for claim in PROOF if sum(line.startswith(claim) for line in told) != 1] == []


@pytest.mark.parametrize("claim", PROOF)
def test_the_tests_that_show_it_exist(claim: str) -> None:
    assert absent(PROOF[claim]) == []
